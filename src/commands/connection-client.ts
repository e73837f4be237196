/**
 * What servers report about their clients, and the filters that select clients.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import type { Args, DurationWithUnit, Key, OneOrMany } from "../internal/command/args.js"
import * as Decode from "../internal/command/decode.js"
import * as Report from "../internal/command/report.js"

/**
 * The type of a client. `primary` is Valkey's word for `master` (Valkey 8.0); `slave` is the old word for `replica`.
 *
 * @since 0.1.0
 * @category options
 */
export type ClientType = "normal" | "master" | "primary" | "slave" | "replica" | "pubsub"

/**
 * Selects the clients that meet every given field. The fields `user` to `maxage` work for CLIENT KILL on Redis, and for
 * CLIENT LIST too from Valkey 8.1 on; the fields after them need Valkey 9.0.
 *
 * @since 0.1.0
 * @category options
 */
export interface ClientFilter {
  /** CLIENT KILL takes several ids from Valkey 9.0 on. */
  readonly id?: OneOrMany<number> | undefined
  readonly type?: ClientType | undefined
  readonly user?: string | undefined
  /** The client's address: `ip:port`. */
  readonly addr?: string | undefined
  /** The server's address that it is connected to. */
  readonly laddr?: string | undefined
  /** Whether to skip the connection that sends the command. */
  readonly skipme?: "yes" | "no" | undefined
  /** Connected for longer than this, in whole seconds. Redis 7.4, Valkey 8.0. */
  readonly maxage?: DurationWithUnit | undefined
  readonly name?: string | undefined
  /** Idle for at least this long, in whole seconds. */
  readonly idle?: DurationWithUnit | undefined
  /** Has all these flags, as in {@link ClientInfo}. */
  readonly flags?: string | undefined
  readonly libName?: string | undefined
  readonly libVer?: string | undefined
  readonly db?: number | undefined
  readonly capa?: string | undefined
  readonly ip?: string | undefined
  readonly notId?: OneOrMany<number> | undefined
  readonly notType?: ClientType | undefined
  readonly notUser?: string | undefined
  readonly notAddr?: string | undefined
  readonly notLaddr?: string | undefined
  readonly notName?: string | undefined
  readonly notFlags?: string | undefined
  readonly notLibName?: string | undefined
  readonly notLibVer?: string | undefined
  readonly notDb?: number | undefined
  readonly notCapa?: string | undefined
  readonly notIp?: string | undefined
}

/**
 * What a server knows about a client. Its essential field is `id`: every other field is `None` where the server does not
 * send it.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClientInfo<out K = string> {
  readonly id: number
  /** Its address: `ip:port`, or the path of the unix socket. */
  readonly addr: Option.Option<string>
  /** The server's address that it is connected to. Redis 6.2. */
  readonly laddr: Option.Option<string>
  readonly fd: Option.Option<number>
  /** Empty when the client has no name. */
  readonly name: Option.Option<K>
  /** How long it has been connected. */
  readonly age: Option.Option<Duration.Duration>
  /** How long it has been idle. */
  readonly idle: Option.Option<Duration.Duration>
  /**
   * One letter for each flag: `N` normal, `b` blocked, `x` in a transaction, `P` subscribed, `S` replica, `M` master, …
   */
  readonly flags: Option.Option<string>
  readonly db: Option.Option<number>
  /** Numbers of subscriptions: to channels (`sub`), patterns (`psub`) and shard channels (`ssub`). */
  readonly sub: Option.Option<number>
  readonly psub: Option.Option<number>
  readonly ssub: Option.Option<number>
  /** Number of commands queued by MULTI; -1 outside a transaction. */
  readonly multi: Option.Option<number>
  /** Number of keys under WATCH. Redis 7.4, Valkey 8.0. */
  readonly watch: Option.Option<number>
  /** Bytes of its query buffer: in use (`qbuf`) and free (`qbufFree`). */
  readonly qbuf: Option.Option<number>
  readonly qbufFree: Option.Option<number>
  readonly argvMem: Option.Option<number>
  readonly multiMem: Option.Option<number>
  /** Bytes of its reply buffer: its size (`rbs`) and its recent peak (`rbp`). */
  readonly rbs: Option.Option<number>
  readonly rbp: Option.Option<number>
  /** Replies not yet sent: bytes in the buffer (`obl`), entries of the list (`oll`), bytes of the list (`omem`). */
  readonly obl: Option.Option<number>
  readonly oll: Option.Option<number>
  readonly omem: Option.Option<number>
  readonly totMem: Option.Option<number>
  /** The socket events the server waits for: `r` to read, `w` to write. */
  readonly events: Option.Option<string>
  /** The last command, such as `client|list`. */
  readonly cmd: Option.Option<string>
  /** Redis 6.0. */
  readonly user: Option.Option<K>
  /** The id of the client that receives its invalidations; -1: none. Redis 6.2. */
  readonly redir: Option.Option<number>
  /** Its protocol: 2 or 3. Redis 7.0. */
  readonly resp: Option.Option<number>
  readonly libName: Option.Option<string>
  readonly libVer: Option.Option<string>
  /** Its announced capabilities, one letter each. Valkey 8.0. */
  readonly capa: Option.Option<string>
  /** The I/O thread that serves it. Redis 8.0. */
  readonly ioThread: Option.Option<number>
  /** Bytes read from it, bytes written to it, and commands run. Redis 8.2, Valkey 8.1. */
  readonly totNetIn: Option.Option<number | bigint>
  readonly totNetOut: Option.Option<number | bigint>
  readonly totCmds: Option.Option<number | bigint>
  /** Every field as the server wrote it, those without a property too. */
  readonly fields: Readonly<Record<string, string>>
}

const text = (args: Args, value: string): Args => args.text(value)
const integer = (args: Args, value: number): Args => args.integer(value)
const integers = (args: Args, values: OneOrMany<number>): Args => args.some("id", values, integer)
const seconds = (args: Args, value: DurationWithUnit): Args => args.seconds(value)
const word = (args: Args, value: string): Args => args.word(value)

/**
 * The arguments of a filter.
 *
 * @internal
 */
export const filter = (builder: Args, which: ClientFilter): Args =>
  builder
    .option("ID", which.id, integers)
    .option("TYPE", which.type, word)
    .option("USER", which.user, text)
    .option("ADDR", which.addr, text)
    .option("LADDR", which.laddr, text)
    .option("SKIPME", which.skipme, word)
    .option("MAXAGE", which.maxage, seconds)
    .option("NAME", which.name, text)
    .option("IDLE", which.idle, seconds)
    .option("FLAGS", which.flags, text)
    .option("LIB-NAME", which.libName, text)
    .option("LIB-VER", which.libVer, text)
    .option("DB", which.db, integer)
    .option("CAPA", which.capa, text)
    .option("IP", which.ip, text)
    .option("NOT-ID", which.notId, integers)
    .option("NOT-TYPE", which.notType, word)
    .option("NOT-USER", which.notUser, text)
    .option("NOT-ADDR", which.notAddr, text)
    .option("NOT-LADDR", which.notLaddr, text)
    .option("NOT-NAME", which.notName, text)
    .option("NOT-FLAGS", which.notFlags, text)
    .option("NOT-LIB-NAME", which.notLibName, text)
    .option("NOT-LIB-VER", which.notLibVer, text)
    .option("NOT-DB", which.notDb, integer)
    .option("NOT-CAPA", which.notCapa, text)
    .option("NOT-IP", which.notIp, text)

/**
 * Splits `name=value` fields at spaces. A value may be empty, and the path of a unix socket may contain spaces: a word
 * that does not begin with a name continues the value before it. Of a name that repeats, the first counts, because such
 * a path may contain `id=1`.
 */
const split = (line: string): Map<string, string> => {
  const fields = new Map<string, string>()
  for (const part of line.split(/[ \r\n]+(?=[A-Za-z][\w.-]*=)/)) {
    const [, name, value] = /^[ \r\n]*([A-Za-z][\w.-]*)=([\s\S]*?)[ \r\n]*$/.exec(part) ?? []
    if (name !== undefined && value !== undefined && !fields.has(name)) {
      fields.set(name, value)
    }
  }
  return fields
}

const record = (
  fields: Iterable<readonly [string, string]>,
  text: (value: string) => string
): Record<string, string> => {
  const result: Record<string, string> = Object.create(null)
  for (const [name, value] of fields) {
    result[name] = text(value)
  }
  return result
}

/**
 * The fields of a line of CLIENT LIST, as text.
 *
 * @internal
 */
export const clientFields = (line: string): Record<string, string> => record(split(line), (value) => value)

const parse = <K>(line: string, cut: Report.Cut<K>): ClientInfo<K> => {
  const fields = split(line)
  const named = (name: string): Option.Option<K> => {
    const value = fields.get(name)
    return value === undefined ? Option.none() : Option.some(cut.name(value))
  }
  const field = <A>(name: string, field: Report.Field<A>): A => {
    const value = fields.get(name)
    return Report.read(field, name, value === undefined ? undefined : cut.text(value))
  }
  const word = (name: string) => field(name, optionalText)
  const number = (name: string) => field(name, optionalInteger)
  return {
    id: field("id", id),
    addr: word("addr"),
    laddr: word("laddr"),
    fd: number("fd"),
    name: named("name"),
    age: field("age", optionalSeconds),
    idle: field("idle", optionalSeconds),
    flags: word("flags"),
    db: number("db"),
    sub: number("sub"),
    psub: number("psub"),
    ssub: number("ssub"),
    multi: number("multi"),
    watch: number("watch"),
    qbuf: number("qbuf"),
    qbufFree: number("qbuf-free"),
    argvMem: number("argv-mem"),
    multiMem: number("multi-mem"),
    rbs: number("rbs"),
    rbp: number("rbp"),
    obl: number("obl"),
    oll: number("oll"),
    omem: number("omem"),
    totMem: number("tot-mem"),
    events: word("events"),
    cmd: word("cmd"),
    user: named("user"),
    redir: number("redir"),
    resp: number("resp"),
    libName: word("lib-name"),
    libVer: word("lib-ver"),
    capa: word("capa"),
    ioThread: number("io-thread"),
    totNetIn: field("tot-net-in", optionalLarge),
    totNetOut: field("tot-net-out", optionalLarge),
    totCmds: field("tot-cmds", optionalLarge),
    fields: record(fields, cut.text)
  }
}

const id = Report.essential(Report.integer)
const optionalText = Report.optional(Report.text)
const optionalInteger = Report.optional(Report.integer)
const optionalLarge = Report.optional(Report.largeInteger)
const optionalSeconds = Report.optional(Report.seconds)

/**
 * CLIENT INFO: one line. CLIENT LIST: a line for each client.
 *
 * @internal
 */
export const clientInfo = <V, K extends Key>(
  codec: Codec<V, K>
): { readonly one: Decode.Decoder<ClientInfo<K>>; readonly all: Decode.Decoder<Array<ClientInfo<K>>> } => {
  const cutting = Report.cutting(codec)
  return {
    one: (reply) => {
      const cut = cutting(reply)
      return parse(cut.source, cut)
    },
    all: (reply) => {
      const cut = cutting(reply)
      return cut.source
        .split("\n")
        .filter((line) => line !== "" && line !== "\r")
        .map((line, i) => Decode.at(i, () => parse(line, cut), line))
    }
  }
}
