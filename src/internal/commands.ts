/**
 * Every command group over one codec. `Redis` is declared as the intersection of their interfaces, so that doc comments
 * and deprecations reach the user.
 */
import type { Codec } from "../Codec.js"
import * as Connection from "../commands/connection.js"
import * as Generic from "../commands/generic.js"
import * as Hash from "../commands/hash.js"
import * as List from "../commands/list.js"
import * as Pubsub from "../commands/pubsub.js"
import * as Scripting from "../commands/scripting.js"
import * as Set from "../commands/set.js"
import * as SortedSet from "../commands/sorted-set.js"
import * as Stream from "../commands/stream.js"
import * as StreamGroup from "../commands/stream-group.js"
import * as StreamInfo from "../commands/stream-info.js"
import * as String from "../commands/string.js"
import * as Transactions from "../commands/transactions.js"
import type { Key } from "./args.js"
import * as Scans from "./scans.js"

/**
 * Every command over values of type `V`. `K` is how keys and field names come back: text, or bytes under
 * `Codec.bytes`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Commands<V, K extends Key = string>
  extends Connection.ConnectionCommands<K>,
    Generic.GenericCommands<V, K>,
    Hash.HashCommands<V, K>,
    List.ListCommands<V, K>,
    Pubsub.PubsubCommands<V, K>,
    Scans.ScanStreams<V, K>,
    Scripting.ScriptingCommands,
    Set.SetCommands<V>,
    SortedSet.SortedSetCommands<V, K>,
    Stream.StreamCommands<V, K>,
    StreamGroup.StreamGroupCommands<V, K>,
    StreamInfo.StreamInfoCommands<V, K>,
    String.StringCommands<V, K>,
    Transactions.TransactionCommands {}

export const make = <V, K extends Key>(codec: Codec<V, K>): Commands<V, K> => {
  const generic = Generic.make(codec)
  const hash = Hash.make(codec)
  const set = Set.make(codec)
  const sortedSet = SortedSet.make(codec)
  return {
    ...Connection.make(codec),
    ...generic,
    ...hash,
    ...List.make(codec),
    ...Pubsub.make(codec),
    ...Scans.make({ ...generic, ...hash, ...set, ...sortedSet }),
    ...Scripting.make(codec),
    ...set,
    ...sortedSet,
    ...Stream.make(codec),
    ...StreamGroup.make(codec),
    ...StreamInfo.make(codec),
    ...String.make(codec),
    ...Transactions.make(codec)
  }
}
