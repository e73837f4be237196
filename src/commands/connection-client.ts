/**
 * What servers report about their clients, and the filters that select clients.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type { Args, DurationWithUnit, OneOrMany } from "../internal/command/args.js"
import * as Decode from "../internal/command/decode.js"

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
 * What a server knows about a client. Fields that older servers do not send are optional; fields of newer servers are
 * in `fields`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClientInfo {
  readonly id: number
  /** Its address: `ip:port`, or the path of the unix socket. */
  readonly addr: string
  readonly laddr: string
  readonly fd: number
  /** Empty when the client has no name. */
  readonly name: string
  /** How long it has been connected. */
  readonly age: Duration.Duration
  /** How long it has been idle. */
  readonly idle: Duration.Duration
  /**
   * One letter for each flag: `N` normal, `b` blocked, `x` in a transaction, `P` subscribed, `S` replica, `M` master, …
   */
  readonly flags: string
  readonly db: number
  /** Numbers of subscriptions: to channels (`sub`), patterns (`psub`) and shard channels (`ssub`). */
  readonly sub: number
  readonly psub: number
  readonly ssub?: number | undefined
  /** Number of commands queued by MULTI; -1 outside a transaction. */
  readonly multi: number
  /** Number of keys under WATCH. Redis 7.4, Valkey 8.0. */
  readonly watch?: number | undefined
  /** Bytes of its query buffer: in use (`qbuf`) and free (`qbufFree`). */
  readonly qbuf: number
  readonly qbufFree: number
  readonly argvMem: number
  readonly multiMem?: number | undefined
  /** Bytes of its reply buffer: its size (`rbs`) and its recent peak (`rbp`). */
  readonly rbs?: number | undefined
  readonly rbp?: number | undefined
  /** Replies not yet sent: bytes in the buffer (`obl`), entries of the list (`oll`), bytes of the list (`omem`). */
  readonly obl: number
  readonly oll: number
  readonly omem: number
  readonly totMem: number
  /** The socket events the server waits for: `r` to read, `w` to write. */
  readonly events: string
  /** The last command, such as `client|list`. */
  readonly cmd: string
  readonly user: string
  /** The id of the client that receives its invalidations; -1: none. */
  readonly redir: number
  /** Its protocol: 2 or 3. */
  readonly resp?: number | undefined
  readonly libName?: string | undefined
  readonly libVer?: string | undefined
  /** Its announced capabilities, one letter each. Valkey 8.0. */
  readonly capa?: string | undefined
  /** The I/O thread that serves it. Redis 8.0. */
  readonly ioThread?: number | undefined
  /** Bytes read from it, bytes written to it, and commands run. Redis 8.2, Valkey 8.1. */
  readonly totNetIn?: number | bigint | undefined
  readonly totNetOut?: number | bigint | undefined
  readonly totCmds?: number | bigint | undefined
  /** Every field as the server wrote it. */
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

/** Reads `name=value` fields. A value may be empty, and a unix socket's path may contain spaces. */
const fieldsOf = (line: string): Record<string, string> => {
  const fields: Record<string, string> = Object.create(null)
  for (const part of line.trim().split(/ (?=[a-z][a-z0-9-]*=)/)) {
    const separator = part.indexOf("=")
    if (separator < 1) {
      throw new Decode.DecodeFailure("expected fields like name=value")
    }
    fields[part.slice(0, separator)] = part.slice(separator + 1)
  }
  return fields
}

const parse = (line: string): ClientInfo => {
  const fields = fieldsOf(line)
  const required = <A>(name: string, decoder: Decode.Decoder<A>): A => Decode.at(name, decoder, fields[name] ?? null)
  const optional = <A>(name: string, decoder: Decode.Decoder<A>): A | undefined =>
    fields[name] === undefined ? undefined : Decode.at(name, decoder, fields[name])
  const number = (name: string) => required(name, Decode.integer)
  return {
    id: number("id"),
    addr: required("addr", Decode.text),
    laddr: required("laddr", Decode.text),
    fd: number("fd"),
    name: required("name", Decode.text),
    age: Duration.seconds(number("age")),
    idle: Duration.seconds(number("idle")),
    flags: required("flags", Decode.text),
    db: number("db"),
    sub: number("sub"),
    psub: number("psub"),
    ssub: optional("ssub", Decode.integer),
    multi: number("multi"),
    watch: optional("watch", Decode.integer),
    qbuf: number("qbuf"),
    qbufFree: number("qbuf-free"),
    argvMem: number("argv-mem"),
    multiMem: optional("multi-mem", Decode.integer),
    rbs: optional("rbs", Decode.integer),
    rbp: optional("rbp", Decode.integer),
    obl: number("obl"),
    oll: number("oll"),
    omem: number("omem"),
    totMem: number("tot-mem"),
    events: required("events", Decode.text),
    cmd: required("cmd", Decode.text),
    user: required("user", Decode.text),
    redir: number("redir"),
    resp: optional("resp", Decode.integer),
    libName: optional("lib-name", Decode.text),
    libVer: optional("lib-ver", Decode.text),
    capa: optional("capa", Decode.text),
    ioThread: optional("io-thread", Decode.integer),
    totNetIn: optional("tot-net-in", Decode.largeInteger),
    totNetOut: optional("tot-net-out", Decode.largeInteger),
    totCmds: optional("tot-cmds", Decode.largeInteger),
    fields
  }
}

/**
 * CLIENT INFO: one line.
 *
 * @internal
 */
export const clientInfo: Decode.Decoder<ClientInfo> = (reply) => parse(Decode.text(reply))

/**
 * CLIENT LIST: a line for each client.
 *
 * @internal
 */
export const clientInfos: Decode.Decoder<Array<ClientInfo>> = (reply) =>
  Decode.text(reply)
    .split("\n")
    .filter((line) => line !== "")
    .map((line, i) => Decode.at(i, () => parse(line), line))
