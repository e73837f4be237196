/**
 * All command groups over one codec. The type of `Redis` extends their interfaces, so that editors show doc comments
 * and deprecations.
 */
import type { Codec } from "../../Codec.js"
import * as ArrayGroup from "../../commands/array.js"
import * as BitmapGroup from "../../commands/bitmap.js"
import * as ClusterGroup from "../../commands/cluster.js"
import * as ConnectionGroup from "../../commands/connection.js"
import * as GenericGroup from "../../commands/generic.js"
import * as GeoGroup from "../../commands/geo.js"
import * as HashGroup from "../../commands/hash.js"
import * as HyperloglogGroup from "../../commands/hyperloglog.js"
import * as ListGroup from "../../commands/list.js"
import * as PubsubGroup from "../../commands/pubsub.js"
import * as ScriptingGroup from "../../commands/scripting.js"
import * as SentinelGroup from "../../commands/sentinel.js"
import * as ServerGroup from "../../commands/server.js"
import * as SetGroup from "../../commands/set.js"
import * as SortedSetGroup from "../../commands/sorted-set.js"
import * as StreamGroup from "../../commands/stream.js"
import * as StreamGroupGroup from "../../commands/stream-group.js"
import * as StreamInfoGroup from "../../commands/stream-info.js"
import * as StringGroup from "../../commands/string.js"
import * as TransactionsGroup from "../../commands/transactions.js"
import * as VectorSetGroup from "../../commands/vector-set.js"
import type { Key } from "../command/args.js"
import { total } from "../command/command.js"
import * as Scans from "./scans.js"

/**
 * Every command over values of type `V`. `K` is the type of returned keys and field names: text, or bytes under
 * `Codec.bytes`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Commands<V, K extends Key = string>
  extends ArrayGroup.ArrayCommands<V>,
    BitmapGroup.BitmapCommands,
    ClusterGroup.ClusterCommands<K>,
    ConnectionGroup.ConnectionCommands<K>,
    GenericGroup.GenericCommands<V, K>,
    GeoGroup.GeoCommands<V>,
    HashGroup.HashCommands<V, K>,
    HyperloglogGroup.HyperloglogCommands<V>,
    ListGroup.ListCommands<V, K>,
    PubsubGroup.PubsubCommands<V, K>,
    ScriptingGroup.ScriptingCommands<K>,
    SentinelGroup.SentinelCommands,
    ServerGroup.ServerCommands<K>,
    SetGroup.SetCommands<V>,
    SortedSetGroup.SortedSetCommands<V, K>,
    StreamGroup.StreamCommands<V, K>,
    StreamGroupGroup.StreamGroupCommands<V, K>,
    StreamInfoGroup.StreamInfoCommands<V, K>,
    StringGroup.StringCommands<V, K>,
    TransactionsGroup.TransactionCommands,
    VectorSetGroup.VectorSetCommands<V>,
    Scans.ScanStreams<V, K> {}

export const make = <V, K extends Key>(codec: Codec<V, K>): Commands<V, K> => {
  const commands = total({
    ...GenericGroup.make(codec),
    ...HashGroup.make(codec),
    ...SetGroup.make(codec),
    ...SortedSetGroup.make(codec),
    ...ArrayGroup.make(codec),
    ...BitmapGroup.make(),
    ...ClusterGroup.make(codec),
    ...ConnectionGroup.make(codec),
    ...GeoGroup.make(codec),
    ...HyperloglogGroup.make(codec),
    ...ListGroup.make(codec),
    ...PubsubGroup.make(codec),
    ...ScriptingGroup.make(codec),
    ...SentinelGroup.make(),
    ...ServerGroup.make(codec),
    ...StreamGroup.make(codec),
    ...StreamGroupGroup.make(codec),
    ...StreamInfoGroup.make(codec),
    ...StringGroup.make(codec),
    ...TransactionsGroup.make(codec),
    ...VectorSetGroup.make(codec)
  })
  // The Streams are made from the commands that read one page.
  return { ...commands, ...Scans.make(commands) }
}
