/**
 * Reads the command line with Node's `parseArgs`. A mistake is named, and no value that may be a secret is shown.
 */
import { parseArgs } from "node:util"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import type { ConnectionOptions, TlsOptions } from "../Connection.js"
import { parseUrl, resolve, showEndpoint } from "../internal/connection/options.js"
import { fromEither } from "../internal/effect/either.js"
import { visible } from "../internal/resp/visible.js"
import { type Feature, features, type Settings } from "./settings.js"

/** What the command needs of its process. Failures are in words. */
export interface Host {
  readonly args: ReadonlyArray<string>
  readonly env: { readonly [name: string]: string | undefined }
  readonly readFile: (path: string) => Effect.Effect<string, string>
  readonly readStdin: Effect.Effect<string, string>
}

export type Asked =
  | { readonly _tag: "Help" }
  | { readonly _tag: "Version" }
  | { readonly _tag: "Doctor"; readonly settings: Settings; readonly notes: ReadonlyArray<string> }

export const usage = `Usage: effect-redis-client doctor [url] [options]

Says whether a Redis or Valkey server can be used, and if not, why.

The URL is redis://, rediss:// (TLS), valkey://, valkeys:// or unix://, with user and database where there are any.
Without one, REDIS_URL is taken, and else redis://localhost:6379. A password on the command line is seen by everybody
who lists processes: put it into REDIS_PASSWORD, into REDIS_URL, or use --password-stdin.

  --for LIST            what the program does with the server, with commas between:
                        ${features.slice(0, 6).join(", ")},
                        ${features.slice(6).join(", ")}
  --prefix TEXT         how the program's keys and channels begin, for users with access to only some of them
  --user NAME           the ACL user
  --password-stdin      read the password from the standard input
  --tls                 use TLS, as rediss:// does
  --ca FILE             trust these authorities (PEM) instead of Node's; may be repeated
  --cert FILE           the client's certificate (PEM)
  --key FILE            the key of --cert (PEM)
  --server-name NAME    the name that the server's certificate must be for; default: the host
  --timeout TIME        how long one step may take: 500ms, 5s, 1m; default: 5s
  --pings N             how many PINGs are measured, 0 for none; default: 1000
  --strict              a warning makes the server not usable
  --json                one JSON document instead of text
  --help, --version

Exit code: 0 usable, 1 not usable, 2 wrong usage.
`

const options = {
  for: { type: "string", multiple: true },
  prefix: { type: "string" },
  user: { type: "string" },
  "password-stdin": { type: "boolean" },
  tls: { type: "boolean" },
  ca: { type: "string", multiple: true },
  cert: { type: "string" },
  key: { type: "string" },
  "server-name": { type: "string" },
  timeout: { type: "string" },
  pings: { type: "string" },
  strict: { type: "boolean" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" }
} as const

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 }

/** A time of the command line, in milliseconds. */
const readTime = (text: string): Either.Either<number, string> => {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text) ?? []
  const millis = digits === undefined ? 0 : Math.round(Number(digits) * (units[unit] ?? 0))
  return millis >= 1 && millis <= 3_600_000
    ? Either.right(millis)
    : Either.left("--timeout must be a time from 1ms to 60m with its unit, such as 500ms, 5s or 1m")
}

const readPings = (text: string): Either.Either<number, string> =>
  /^\d{1,6}$/.test(text) ? Either.right(Number(text)) : Either.left("--pings must be a whole number from 0 to 999999")

const isFeature = (name: string): name is Feature => (features as ReadonlyArray<string>).includes(name)

const readFeatures = (lists: ReadonlyArray<string>): Either.Either<ReadonlySet<Feature>, string> => {
  const names = lists.flatMap((list) => list.split(",")).map((name) => name.trim())
  const strange = names.find((name) => !isFeature(name))
  return strange === undefined
    ? Either.right(new Set(names.filter(isFeature)))
    : Either.left(`--for does not know ${strange === "" ? "an empty name" : strange}; it knows ${features.join(", ")}`)
}

/** `parseArgs` quotes what it does not know, which may be a URL with a password. */
const parse = (args: ReadonlyArray<string>) =>
  Either.try({
    try: () => parseArgs({ args: [...args], options, allowPositionals: true, strict: true }),
    catch: (error) => {
      const name = error instanceof Error ? /'-{1,2}[a-z][a-z-]{0,30}/.exec(error.message)?.[0].slice(1) : undefined
      const unknown = (error as { readonly code?: unknown }).code === "ERR_PARSE_ARGS_UNKNOWN_OPTION"
      return name === undefined
        ? "the options cannot be read"
        : unknown
          ? `there is no option ${name}`
          : `the option ${name} needs a value, or has one and takes none`
    }
  })

const nonEmpty = (text: string | undefined): string | undefined => (text === "" ? undefined : text)

/** What the command line asks for. Fails with what is wrong with it. */
export const read: (host: Host) => Effect.Effect<Asked, string> = Effect.fnUntraced(function* (host: Host) {
  const { positionals, values } = yield* fromEither(parse(host.args))
  const [command, given, ...rest] = positionals
  if (values.help === true) {
    return { _tag: "Help" }
  }
  if (values.version === true) {
    return { _tag: "Version" }
  }
  if (command !== "doctor") {
    return yield* Effect.fail(command === undefined ? "name the command: doctor" : "the only command is doctor")
  }
  if (rest.length > 0) {
    return yield* Effect.fail("more than one URL is given")
  }
  const timeout = yield* fromEither(readTime(values.timeout ?? "5s"))
  const pings = yield* fromEither(readPings(values.pings ?? "1000"))
  const features = yield* fromEither(readFeatures(values.for ?? []))
  const url = given ?? nonEmpty(host.env.REDIS_URL) ?? "redis://localhost:6379"
  const fromStdin = values["password-stdin"] === true ? (yield* host.readStdin).replace(/\r?\n$/, "") : undefined
  if (fromStdin === "") {
    return yield* Effect.fail("--password-stdin found no password in the standard input")
  }
  const inUrl = yield* Effect.mapError(fromEither(parseUrl(url)), ({ message }) => message)
  const password = fromStdin ?? (inUrl.password === undefined ? nonEmpty(host.env.REDIS_PASSWORD) : undefined)
  const file = (name: string, path: string | undefined) =>
    path === undefined
      ? Effect.succeed(undefined)
      : Effect.mapError(host.readFile(path), (why) => `the file of --${name} cannot be read: ${why}`)
  const ca = yield* Effect.forEach(values.ca ?? [], (path) => file("ca", path))
  const cert = yield* file("cert", values.cert)
  const key = yield* file("key", values.key)
  const tls: TlsOptions = {
    ...(ca.length === 0 ? {} : { ca: ca.filter((pem) => pem !== undefined) }),
    cert,
    key: key === undefined ? undefined : Redacted.make(key),
    serverName: values["server-name"]
  }
  const asksForTls = Object.values(tls).some((value) => value !== undefined)
  if (asksForTls && values.tls !== true && !inUrl.tls) {
    return yield* Effect.fail("--ca, --cert, --key and --server-name are for TLS: use rediss:// or --tls")
  }
  const connection: ConnectionOptions = {
    url: Redacted.make(url),
    username: values.user,
    password: password === undefined ? undefined : Redacted.make(password),
    tls: values.tls === true || asksForTls ? tls : undefined,
    // Sentinels and nodes of a cluster are examined too.
    expect: "node",
    connectTimeout: Duration.millis(timeout),
    replyTimeout: Duration.millis(timeout),
    unresponsiveTimeout: Duration.millis(2 * timeout),
    closeTimeout: "200 millis"
  }
  const resolved = yield* Effect.mapError(fromEither(resolve(connection)), ({ message }) => message)
  const secrets = [resolved.password, inUrl.password].filter((secret) => secret !== undefined)
  return {
    _tag: "Doctor",
    settings: {
      target: {
        address: visible(showEndpoint(resolved.endpoint)),
        tls: resolved.tls !== undefined,
        user: resolved.username === undefined ? null : visible(resolved.username),
        database: resolved.database
      },
      options: connection,
      resolved,
      features,
      prefix: values.prefix,
      timeout,
      pings,
      strict: values.strict === true,
      json: values.json === true,
      secrets
    },
    notes:
      given !== undefined && inUrl.password !== undefined && fromStdin === undefined
        ? [
            "The password is on the command line, where everybody who lists processes sees it; REDIS_URL is a safer place."
          ]
        : []
  }
})
