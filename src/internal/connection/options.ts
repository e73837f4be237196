/**
 * Checks options and URLs: each mistake is named, nothing is guessed, and no value that may be a secret is shown.
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import type * as Stream from "effect/Stream"
import { UsageError } from "../../RedisError.js"
import type { DurationWithUnit } from "../command/args.js"
import { QueueBounds } from "../engine/queue.js"
import { longestTimer } from "../engine/timers.js"
import { defaultLimits, type ParserLimits } from "../resp/parser.js"
import type { TelemetryOptions } from "../telemetry/options.js"

/**
 * TLS settings. The peer's certificate is verified against the runtime's authorities, or those of `ca`, and against the
 * host's name or address.
 *
 * @since 0.1.0
 * @category options
 */
export interface TlsOptions {
  /** Certificate authorities, as PEM, instead of the runtime's. */
  readonly ca?: ReadonlyArray<string> | undefined
  /** The client's certificate, as PEM. */
  readonly cert?: string | undefined
  /** The client's key, as PEM. */
  readonly key?: Redacted.Redacted<string> | undefined
  /** The passphrase of `key`. */
  readonly passphrase?: Redacted.Redacted<string> | undefined
  /** The name to ask for (SNI) and to verify; an address is only verified. Default: the host. */
  readonly serverName?: string | undefined
  /** The lowest version to accept. Default: the runtime's, TLS 1.2. */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3" | undefined
  /** `false` accepts any certificate, from anybody. Default: true. */
  readonly rejectUnauthorized?: boolean | undefined
}

/**
 * Where a server is and how to connect to it. An option wins over the same part of the URL.
 *
 * @since 0.1.0
 * @category options
 */
export interface ConnectionOptions {
  /**
   * `redis://`, `rediss://` (TLS), `valkey://`, `valkeys://` or `unix://`, with user, password, database and, as a
   * query, `db`, `protocol`, `client_name` and `family`. Anything else in it is refused.
   */
  readonly url?: string | Redacted.Redacted<string> | undefined
  /** Default: `localhost`. */
  readonly host?: string | undefined
  /** Default: 6379. */
  readonly port?: number | undefined
  /** A unix socket, instead of host and port. */
  readonly path?: string | undefined
  /** TLS, with the system's settings (`true`) or others. Default: as the URL says. */
  readonly tls?: boolean | TlsOptions | undefined
  /** Which addresses of the host are used: 4 or 6. Default: both. Names are resolved at every connect. */
  readonly family?: 4 | 6 | undefined
  /** The database to SELECT. Default: 0. */
  readonly database?: number | undefined
  /** An ACL user; without it a password is the default user's. */
  readonly username?: string | undefined
  readonly password?: Redacted.Redacted<string> | undefined
  /**
   * User and password that are not known when the client is built, instead of the two above. An Effect is run at each
   * attempt to connect, within `connectTimeout`. Of a Stream the newest credentials count: when new ones arrive, a
   * client's shared connection is replaced without failing a command, and a pool's connections when they come back. A
   * `Connection` uses the newest credentials when it is made.
   *
   * When it fails, the `ConnectionError` shows the message of a tagged error, and only the name of any other error,
   * because its message may hold a token. To see more, log it inside (`Effect.tapErrorCause`).
   */
  readonly credentials?: CredentialsInput | undefined
  /** The name that CLIENT LIST shows. No spaces or line breaks. */
  readonly clientName?: string | undefined
  /**
   * Whether to tell the server the library's name and version (CLIENT SETINFO). With `protocol: 2` and `false`, nothing
   * but AUTH, SELECT and the name of `clientName` is sent before the first command. Default: true.
   */
  readonly clientInfo?: boolean | undefined
  /** 3 asks with HELLO and falls back to 2 on servers that do not know it; 2 sends no HELLO. Default: 3. */
  readonly protocol?: 2 | 3 | undefined
  /**
   * What the server may be. `standalone` (the default) fails when the server says that it is a node of a cluster or a
   * sentinel, because this client speaks to one server and follows no redirects. `node` accepts those too: one node of a
   * cluster, for its own hash slots, or a sentinel, for SENTINEL commands. Servers that do not know HELLO, and those that
   * are not sent it (`protocol: 2`), are not checked.
   */
  readonly expect?: "standalone" | "node" | undefined
  /** How raw replies are read by default. Default: `utf8`. */
  readonly encoding?: "utf8" | "bytes" | undefined
  /** How long resolving, connecting, TLS and the handshake may take together. Default: 5 seconds. */
  readonly connectTimeout?: DurationWithUnit | undefined
  /**
   * The deadline of a command: from when it is accepted to its reply. `Duration.infinity` for none. Default: 5 seconds.
   */
  readonly replyTimeout?: DurationWithUnit | undefined
  /** How long closing waits for replies that are owed. Default: 2 seconds. */
  readonly closeTimeout?: DurationWithUnit | undefined
  /** The connection ends when replies are owed and nothing was read for this long. Default: 30 seconds. */
  readonly unresponsiveTimeout?: DurationWithUnit | undefined
  /**
   * After this long without traffic the server is asked with PING. Without a reply the connection ends after
   * `unresponsiveTimeout`. `Duration.infinity` for never. Default: 30 seconds.
   */
  readonly pingInterval?: DurationWithUnit | undefined
  /** How long TCP may be silent before the kernel probes; `false` for never. Default: 30 seconds. */
  readonly keepAlive?: DurationWithUnit | false | undefined
  /** Whether to disable Nagle's algorithm. Default: true. */
  readonly noDelay?: boolean | undefined
  /** How many commands may be in flight at once; more wait unsent. Default: 1 048 576. */
  readonly maxInFlight?: number | undefined
  /** How many commands may wait unsent, over all connections of the client. Default: 1 048 576. */
  readonly maxQueuedCommands?: number | undefined
  /** How many bytes of commands may wait unsent, over all connections of the client. Default: 256 MB. */
  readonly maxQueuedBytes?: number | undefined
  /** Spans and metrics. Default: a span for each command inside a sampled span, and metrics of connections and pools. */
  readonly telemetry?: TelemetryOptions | undefined
  /** Limits on the replies of the server, checked before memory is allocated. */
  readonly limits?:
    | {
        readonly maxBulkLength?: number | undefined
        readonly maxAggregateLength?: number | undefined
        readonly maxDepth?: number | undefined
        readonly maxBufferedBytes?: number | undefined
      }
    | undefined
}

/**
 * The user that a connection authenticates as.
 *
 * @since 0.1.0
 * @category models
 */
export interface Credentials {
  /** An ACL user; without it the password is the default user's. */
  readonly username?: string | undefined
  readonly password: Redacted.Redacted<string>
}

/** Credentials as the user gives them: an Effect that is run at each attempt, or a Stream of which the newest count. */
export type CredentialsInput = Effect.Effect<Credentials, unknown> | Stream.Stream<Credentials, unknown>

export type Endpoint =
  | {
      readonly _tag: "Tcp"
      readonly host: string
      readonly port: number
      /** The name that the certificate of a server is for which is reached by its IP address. */
      readonly hostname?: string | undefined
    }
  | { readonly _tag: "Unix"; readonly path: string }

/** The server's address, for messages. */
export const showEndpoint = (endpoint: Endpoint): string =>
  endpoint._tag === "Unix" ? endpoint.path : `${endpoint.host}:${endpoint.port}`

export interface ResolvedOptions {
  readonly endpoint: Endpoint
  readonly tls: TlsOptions | undefined
  readonly family: 4 | 6 | undefined
  readonly database: number
  readonly username: string | undefined
  readonly password: Redacted.Redacted<string> | undefined
  readonly credentials: CredentialsInput | undefined
  readonly clientName: string | undefined
  readonly clientInfo: boolean
  readonly protocol: 2 | 3
  readonly expect: "standalone" | "node"
  readonly encoding: "utf8" | "bytes"
  readonly connectTimeout: number
  readonly replyTimeout: number
  readonly closeTimeout: number
  readonly unresponsiveAfter: number
  readonly pingInterval: number
  readonly keepAliveMillis: number | undefined
  readonly noDelay: boolean
  readonly maxInFlight: number
  readonly queueBounds: QueueBounds
  readonly limits: ParserLimits
}

type Checked<A> = Either.Either<A, UsageError>

export const invalid = (message: string): Checked<never> =>
  Either.left(new UsageError({ reason: "invalidOptions", message }))

/** A database's number, as SELECT takes it. */
export const checkDatabase = (database: unknown, what = "database"): Checked<number> =>
  typeof database === "number" && Number.isInteger(database) && database >= 0 && database <= 0x7fff_ffff
    ? Either.right(database)
    : invalid(`${what} must be a whole number from 0`)

/** A client's name, as CLIENT SETNAME takes it. */
export const checkName = (name: string, what = "clientName"): Checked<string> =>
  /^[!-~]*$/.test(name)
    ? Either.right(name)
    : invalid(`${what} may only hold printable ASCII characters without spaces`)

/** Whole milliseconds from 1, or Infinity. */
export const checkDuration = (input: unknown, what: string): Checked<number> => {
  const duration = Either.try(() => Duration.decode(input as Duration.DurationInput))
  if (Either.isLeft(duration) || typeof input === "number" || typeof input === "bigint" || Array.isArray(input)) {
    return invalid(`${what} must be a duration with its unit, such as "5 seconds"`)
  }
  const millis = Duration.toMillis(duration.right)
  return millis > 0 ? Either.right(millis) : invalid(`${what} must be longer than zero`)
}

export const checkCount = (value: unknown, what: string, least = 1): Checked<number> =>
  typeof value === "number" && Number.isInteger(value) && value >= least
    ? Either.right(value)
    : invalid(`${what} must be a whole number from ${least}`)

const certificatePem = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/
const keyPem = /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/

/** Checks options that Node would accept silently, and refuse or ignore only when it connects. */
const checkTls = (tls: TlsOptions): Checked<TlsOptions> => {
  if (typeof tls !== "object") {
    return invalid("tls must be true, false, or an object of options")
  }
  const { ca, cert, key, minVersion, passphrase, rejectUnauthorized, serverName } = tls
  const isPem = (text: unknown, pem: RegExp): boolean => typeof text === "string" && pem.test(text)
  if (ca !== undefined && !(Array.isArray(ca) && ca.length > 0 && ca.every((one) => isPem(one, certificatePem)))) {
    return invalid("tls.ca must be a list of certificates in PEM, not the names of files")
  }
  if (cert !== undefined && !isPem(cert, certificatePem)) {
    return invalid("tls.cert must be a certificate in PEM, not the name of a file")
  }
  if (
    (key !== undefined && !Redacted.isRedacted(key)) ||
    (passphrase !== undefined && !Redacted.isRedacted(passphrase))
  ) {
    return invalid("tls.key and tls.passphrase must be Redacted: Redacted.make(…), so that nothing prints them")
  }
  if (key !== undefined && !isPem(Redacted.value(key), keyPem)) {
    return invalid("tls.key must be a private key in PEM, not the name of a file")
  }
  if ((cert === undefined) !== (key === undefined)) {
    return invalid("tls.cert and tls.key go together")
  }
  if (passphrase !== undefined && key === undefined) {
    return invalid("tls.passphrase is given without tls.key")
  }
  if (serverName !== undefined && !(typeof serverName === "string" && /^[!-~]{1,255}$/.test(serverName))) {
    return invalid("tls.serverName must be a name or an address")
  }
  if (minVersion !== undefined && minVersion !== "TLSv1.2" && minVersion !== "TLSv1.3") {
    return invalid("tls.minVersion must be TLSv1.2 or TLSv1.3")
  }
  return rejectUnauthorized === undefined || typeof rejectUnauthorized === "boolean"
    ? Either.right(tls)
    : invalid("tls.rejectUnauthorized must be true or false")
}

interface Url {
  readonly tls: boolean
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly path?: string | undefined
  readonly username?: string | undefined
  readonly password?: Redacted.Redacted<string> | undefined
  readonly database?: number | undefined
  readonly protocol?: 2 | 3 | undefined
  readonly clientName?: string | undefined
  readonly family?: 4 | 6 | undefined
}

const schemes = new Map([
  ["redis:", false],
  ["valkey:", false],
  ["rediss:", true],
  ["valkeys:", true]
])

/** The text before the @ reads like the rest of a user or a password. None of it may be shown. */
const hidesPassword = /^(?!unix:\/\/\/)[^/]*\/\/[^/?#]*[/?#].*@/is

/** Reads a URL. No message shows more of it than a scheme or a parameter's name. */
export const parseUrl = (source: string): Checked<Url> =>
  Either.gen(function* () {
    // The text before a colon is a scheme only when slashes follow. Otherwise it may be a secret.
    if (!/^[a-z+]+:\/\//i.test(source)) {
      return yield* invalid(
        source === ""
          ? "the URL is empty"
          : "the URL does not begin with redis://, rediss://, valkey://, valkeys:// or unix://"
      )
    }
    if (hidesPassword.test(source)) {
      return yield* invalid(
        "the URL has an @ after a /, ? or #; where one of these is in the password or the user, percent-encode it: %2F, %3F, %23"
      )
    }
    const url = yield* Either.try({
      try: () => new URL(source),
      catch: () =>
        new UsageError({
          reason: "invalidOptions",
          message: /:\d{5,}(?:[/?]|$)/.test(source)
            ? "the URL's port must be a whole number from 1 to 65535"
            : "the URL is malformed; the password or the user may need percent-encoding, or its host or port is wrong"
        })
    })
    const unix = url.protocol === "unix:"
    const tls = schemes.get(url.protocol)
    if (!unix && tls === undefined) {
      return yield* invalid(
        `the URL's scheme is "${url.protocol.slice(0, -1)}"; use redis, rediss, valkey, valkeys or unix`
      )
    }
    if (url.hash !== "") {
      return yield* invalid("the URL has a fragment; percent-encode a # in the password as %23")
    }
    const username = yield* percentDecode(url.username, "user")
    const password = yield* percentDecode(url.password, "password")
    const query = yield* parseQuery(url.searchParams)
    const credentials = {
      tls: tls ?? false,
      username: username === "" ? undefined : username,
      password: password === "" ? undefined : Redacted.make(password)
    }
    if (unix) {
      if (url.host !== "") {
        return yield* invalid("a unix:// URL has a path and no host: unix:///run/redis.sock")
      }
      const path = yield* percentDecode(url.pathname, "path")
      return path === "" || path === "/"
        ? yield* invalid("the unix:// URL has no path")
        : { ...credentials, ...query, path }
    }
    const host = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : yield* percentDecode(url.hostname, "host")
    const path = /^\/[^/]+\/$/.test(url.pathname) ? url.pathname.slice(0, -1) : url.pathname
    const database = path === "" || path === "/" ? undefined : path.slice(1)
    if (database !== undefined && query.database !== undefined) {
      return yield* invalid("the URL names the database twice")
    }
    return {
      ...credentials,
      ...query,
      host: host === "" ? undefined : host,
      port: url.port === "" ? undefined : Number(url.port),
      database: database === undefined ? query.database : yield* parseDatabase(database)
    }
  })

const percentDecode = (text: string, what: string): Checked<string> =>
  Either.try({
    try: () => decodeURIComponent(text),
    catch: () =>
      new UsageError({
        reason: "invalidOptions",
        message: `the URL's ${what} is not percent-encoded right; write a % itself as %25`
      })
  })

const parseDatabase = (text: string): Checked<number> =>
  /^\d+$/.test(text)
    ? checkDatabase(Number(text), "the URL's database")
    : invalid("the URL's database is not a number; it is given as redis://host/0 or redis://host?db=0")

/** Shows a parameter's name only when it looks like one. */
const showName = (name: string): string => (/^[a-z_-]{1,32}$/i.test(name) ? ` "${name}"` : "")

const parseQuery = (params: URLSearchParams): Checked<Pick<Url, "database" | "protocol" | "clientName" | "family">> =>
  Either.gen(function* () {
    const query: { -readonly [K in "database" | "protocol" | "clientName" | "family"]?: Url[K] } = {}
    const seen = new Set<string>()
    for (const [name, value] of params) {
      if (seen.has(name)) {
        return yield* invalid(`the URL has the parameter${showName(name)} twice`)
      }
      seen.add(name)
      switch (name) {
        case "db":
          query.database = yield* parseDatabase(value)
          break
        case "protocol":
          if (value !== "2" && value !== "3") {
            return yield* invalid("the URL's protocol is neither 2 nor 3")
          }
          query.protocol = value === "2" ? 2 : 3
          break
        case "client_name":
          query.clientName = yield* checkName(value, "the URL's client_name")
          break
        case "family":
          if (value !== "4" && value !== "6") {
            return yield* invalid("the URL's family is neither 4 nor 6")
          }
          query.family = value === "4" ? 4 : 6
          break
        default:
          return yield* invalid(
            `the URL has an unknown parameter${showName(name)}; known are db, protocol, client_name, family`
          )
      }
    }
    return query
  })

const readDuration = (input: DurationWithUnit | undefined, what: string, fallback: number): Checked<number> =>
  input === undefined ? Either.right(fallback) : checkDuration(input, what)

/** Without end becomes `undefined`: the socket is not told to probe. */
const finite = (millis: number): number | undefined => (millis === Number.POSITIVE_INFINITY ? undefined : millis)

const readCount = (input: number | undefined, what: string, fallback: number): Checked<number> =>
  input === undefined ? Either.right(fallback) : checkCount(input, what)

/** Joins options, URL and defaults, and checks them. */
export const resolve = (options: ConnectionOptions): Checked<ResolvedOptions> =>
  Either.gen(function* () {
    const source = Redacted.isRedacted(options.url) ? Redacted.value(options.url) : options.url
    const url: Url = source === undefined ? { tls: false } : yield* parseUrl(source)
    const path = options.path ?? (options.host === undefined && options.port === undefined ? url.path : undefined)
    if (options.path !== undefined && (options.host !== undefined || options.port !== undefined)) {
      return yield* invalid("path and host (or port) are both given; a server is reached by one of them")
    }
    if (options.path !== undefined && url.host !== undefined) {
      return yield* invalid("path is given beside a URL with a host; a server is reached by one of them")
    }
    if (url.path !== undefined && path === undefined) {
      return yield* invalid("host or port is given beside a unix:// URL; a server is reached by one of them")
    }
    const port = options.port ?? url.port ?? 6379
    if (!Number.isInteger(port) || port < 1 || port > 65535) {
      return yield* invalid("port must be a whole number from 1 to 65535")
    }
    const given = options.host ?? url.host ?? "localhost"
    // An IPv6 address may stand in brackets, as it does in a URL.
    const host = typeof given === "string" && /^\[[^[\]]*:[^[\]]*\]$/.test(given) ? given.slice(1, -1) : given
    if (typeof host !== "string" || host === "" || /[\s\0/[\]]/.test(host)) {
      return yield* invalid("host must be a name or an address")
    }
    if (path !== undefined && (path === "" || path.includes("\0"))) {
      return yield* invalid("path must be the path of a unix socket")
    }
    const protocol = options.protocol ?? url.protocol ?? 3
    if (protocol !== 2 && protocol !== 3) {
      return yield* invalid("protocol must be 2 or 3")
    }
    const family = options.family ?? url.family
    if (family !== undefined && family !== 4 && family !== 6) {
      return yield* invalid("family must be 4 or 6")
    }
    const expect = options.expect ?? "standalone"
    if (expect !== "standalone" && expect !== "node") {
      return yield* invalid("expect must be standalone or node")
    }
    const encoding = options.encoding ?? "utf8"
    if (encoding !== "utf8" && encoding !== "bytes") {
      return yield* invalid("encoding must be utf8 or bytes")
    }
    const named = options.username ?? url.username
    const password = options.password ?? url.password
    // Some services print redis://default@host for a server without a password.
    const username = named === "default" && password === undefined ? undefined : named
    if (password !== undefined && !Redacted.isRedacted(password)) {
      return yield* invalid("password must be Redacted: Redacted.make(…), so that nothing prints it")
    }
    if (options.credentials !== undefined && (username !== undefined || password !== undefined)) {
      return yield* invalid("credentials are given beside a username or password; only one of them can count")
    }
    if (username !== undefined && password === undefined) {
      return yield* invalid("username is given without a password")
    }
    const clientName = options.clientName ?? url.clientName
    const tls = options.tls ?? url.tls
    if (options.tls === false && url.tls) {
      return yield* invalid("tls is false beside a URL whose scheme asks for TLS")
    }
    const limits = options.limits
    return {
      endpoint: path === undefined ? { _tag: "Tcp", host, port } : { _tag: "Unix", path },
      tls: tls === true ? {} : tls === false ? undefined : yield* checkTls(tls),
      family,
      database: yield* checkDatabase(options.database ?? url.database ?? 0),
      username,
      password,
      credentials: options.credentials,
      clientName: clientName === undefined ? undefined : yield* checkName(clientName),
      clientInfo: options.clientInfo ?? true,
      protocol,
      expect,
      encoding,
      connectTimeout: yield* readDuration(options.connectTimeout, "connectTimeout", 5_000),
      replyTimeout: yield* readDuration(options.replyTimeout, "replyTimeout", 5_000),
      closeTimeout: Math.min(yield* readDuration(options.closeTimeout, "closeTimeout", 2_000), longestTimer),
      unresponsiveAfter: yield* readDuration(options.unresponsiveTimeout, "unresponsiveTimeout", 30_000),
      pingInterval: yield* readDuration(options.pingInterval, "pingInterval", 30_000),
      keepAliveMillis:
        options.keepAlive === false ? undefined : finite(yield* readDuration(options.keepAlive, "keepAlive", 30_000)),
      noDelay: options.noDelay ?? true,
      maxInFlight: yield* readCount(options.maxInFlight, "maxInFlight", 1_048_576),
      queueBounds: new QueueBounds(
        yield* readCount(options.maxQueuedCommands, "maxQueuedCommands", 1_048_576),
        yield* readCount(options.maxQueuedBytes, "maxQueuedBytes", 256 * 1024 * 1024)
      ),
      limits: {
        maxBulkLength: yield* readCount(limits?.maxBulkLength, "limits.maxBulkLength", defaultLimits.maxBulkLength),
        maxAggregateLength: yield* readCount(
          limits?.maxAggregateLength,
          "limits.maxAggregateLength",
          defaultLimits.maxAggregateLength
        ),
        maxDepth: yield* readCount(limits?.maxDepth, "limits.maxDepth", defaultLimits.maxDepth),
        maxBufferedBytes: yield* readCount(
          limits?.maxBufferedBytes,
          "limits.maxBufferedBytes",
          defaultLimits.maxBufferedBytes
        )
      }
    }
  })
