/**
 * The handshake: what must succeed on a new link before the first command of a user is sent (design law 5). It goes out in
 * one write. HELLO (with AUTH) or AUTH is required, and SELECT for a database other than 0; the names of the client and of
 * the library are optional, and a server may refuse them. Opening sockets is not done here (dial.ts).
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { ConnectionError, ProtocolError, type RedisError, ReplyError } from "../../RedisError.js"
import { withDeadline } from "../command/command.js"
import * as Decode from "../command/decode.js"
import type { RedisCommand } from "../command/model.js"
import { make, token } from "../command/raw.js"
import { ownWords } from "../engine/sentences.js"
import { changed, closeError } from "../request/failure.js"
import { utf8Decode } from "../resp/text.js"
import type { Reply } from "../resp/values.js"
import type { Link } from "./link.js"
import type { ResolvedOptions } from "./options.js"
import type { ServerFacts } from "./serverFacts.js"
import { version } from "./version.js"

/** Further steps of a handshake: READONLY for a replica, CLIENT TRACKING for a cache. They come last, in the same write. */
export type ExtraSteps = ReadonlyArray<Step>

export interface Step {
  readonly command: RedisCommand<unknown>
  /** Whether its refusal fails the handshake. */
  readonly required: boolean
}

interface OwnStep extends Step {
  /** Its value is what the server reports about itself. */
  readonly reports?: boolean | undefined
}

/**
 * Which steps a handshake leaves out, by the names of their commands: HELLO (then it speaks RESP2) and optional ones. Some
 * proxies end the connection at a command that they do not know.
 */
export type LeftOut = ReadonlySet<string>

export interface Handshake {
  readonly options: ResolvedOptions
  readonly leftOut: LeftOut
  readonly extra: ExtraSteps
  /** Is told which steps may be why the peer ended the connection: it got them, and answered neither them nor the rest. */
  readonly suspect: (steps: LeftOut) => void
}

/** Sends the handshake over a new link, and returns what the server reports about itself. */
export const shakeHands = (link: Link, handshake: Handshake): Effect.Effect<ServerFacts, RedisError> =>
  handshake.options.protocol === 3 && !handshake.leftOut.has("HELLO")
    ? send(link, handshake, helloStep(handshake.options), undefined)
    : send(link, handshake, undefined, undefined)

/** `refusal` is the error with which the server answered a HELLO before, on the same link. */
const send = (
  link: Link,
  handshake: Handshake,
  hello: OwnStep | undefined,
  refusal: ReplyError | undefined
): Effect.Effect<ServerFacts, RedisError> => {
  const { extra, leftOut, options } = handshake
  const first = hello === undefined ? stepsWithoutHello(options) : [hello]
  const wanted: ReadonlyArray<OwnStep> = [...first, ...commonSteps(options), ...extra]
  const kept = wanted.filter(({ command, required }) => required || !leftOut.has(command.name))
  if (wanted.length === 0) {
    return Effect.succeed(unknownServer)
  }
  // Without any step left, only a reply to PING shows that the peer is a server.
  const steps = kept.length === 0 ? [pingStep] : kept
  return Effect.flatMap(
    link.sendAll(
      // The connect deadline covers it.
      steps.map(({ command }) => withDeadline(command, Duration.infinity)),
      { atomic: false }
    ),
    ({ exits }) => {
      const answer = exits[0]
      const refused =
        hello !== undefined && answer !== undefined && Exit.isFailure(answer) ? failureOf(answer) : undefined
      if (refused instanceof ReplyError && !isFinal(refused, options)) {
        if (link.engine.closed === undefined) {
          return send(link, handshake, undefined, refused)
        }
        if (wordsOf(refused) === undefined) {
          handshake.suspect(new Set(steps.flatMap(mayBeLeftOut)))
        }
        return Effect.fail(handshakeError(refused, "HELLO", options, undefined))
      }
      for (const [i, exit] of exits.entries()) {
        const { command, required } = steps[i] as Step
        if (Exit.isFailure(exit)) {
          const error = failureOf(exit)
          // When the connection ended, every step fails, optional ones too; the reply to the first may say why it ended.
          // When an optional step is answered NOAUTH, a password is missing, and no user command would fare better.
          if (required || !(error instanceof ReplyError) || error.code === "NOAUTH") {
            const plain = ofAttempt(error, link)
            if (!(plain instanceof ConnectionError)) {
              return Effect.fail(handshakeError(plain, command.name, options, refusal))
            }
            const said = lastWords(answer)
            if (said !== undefined) {
              return Effect.fail(handshakeError(said, command.name, options, refusal))
            }
            if (refusal !== undefined && wordsOf(refusal) !== undefined) {
              return Effect.fail(handshakeError(refusal, "HELLO", options, undefined))
            }
            if (endedSilently(plain)) {
              const before = refusal === undefined ? [] : ["HELLO"]
              handshake.suspect(new Set([...before, ...steps.slice(i).flatMap(mayBeLeftOut)]))
            }
            return Effect.fail(handshakeError(plain, command.name, options, refusal))
          }
        }
      }
      const reports = exits.flatMap((exit, i) =>
        Exit.isSuccess(exit) && (steps[i] as OwnStep).reports === true ? [exit.value as ServerFacts] : []
      )
      const facts = reports[0] ?? unknownServer
      const stranger = options.expect === "node" ? undefined : otherKind(facts, link.address)
      return stranger === undefined ? Effect.succeed(facts) : Effect.fail(stranger)
    }
  )
}

/** An attempt to connect failed, and not a command that somebody sent: the error of its connection names no command. */
const ofAttempt = (error: RedisError, { address, engine }: Link): RedisError =>
  error instanceof ConnectionError && engine.closed !== undefined
    ? closeError(engine.closed, "unsent", address)
    : error instanceof ProtocolError
      ? new ProtocolError({ reason: error.reason, server: address })
      : error

/** A peer that does not know HELLO knows no optional command either. */
const mayBeLeftOut = ({ command: { name }, required }: Step): ReadonlyArray<string> =>
  name === "HELLO" ? ["HELLO", "CLIENT SETNAME", "CLIENT ID"] : required ? [] : [name]

/** The error with which a server explained why it ended the connection. */
const lastWords = (answer: Exit.Exit<unknown, RedisError> | undefined): ReplyError | undefined => {
  const error = answer !== undefined && Exit.isFailure(answer) ? failureOf(answer) : undefined
  return error instanceof ReplyError && wordsOf(error) !== undefined ? error : undefined
}

const wordsOf = ({ raw }: ReplyError): string | undefined => ownWords(Redacted.value(raw))

/** Whether the peer ended the connection and said nothing. What it did not read yet makes its close a reset. */
export const endedSilently = (error: RedisError): boolean =>
  error._tag === "ConnectionError" &&
  (error.reason === "peerClosed"
    ? error.message === "the server closed the connection"
    : error.reason === "transport" && /ECONNRESET|EPIPE/.test(error.message))

/** The failure for a server that a client of one server must not take for one. */
const otherKind = ({ mode }: ServerFacts, server: string): ConnectionError | undefined => {
  const message =
    mode === "cluster"
      ? `${server} is a node of a cluster, and this client speaks to one server: RedisCluster.layer (of effect-redis-client/RedisCluster) is the client of a cluster; to use this one node for its own hash slots, give expect: "node"`
      : mode === "sentinel"
        ? `${server} is a sentinel, which holds no data: connect to the master that it names (SENTINEL GET-MASTER-ADDR-BY-NAME); to send commands to the sentinel itself, give expect: "node"`
        : undefined
  return message === undefined
    ? undefined
    : new ConnectionError({ reason: "handshake", delivery: "unsent", message, server })
}

const unknownServer: ServerFacts = {
  protocol: 2,
  id: undefined,
  server: undefined,
  version: undefined,
  mode: undefined,
  role: undefined,
  availabilityZone: undefined
}

const helloStep = (options: ResolvedOptions): OwnStep => ({
  required: true,
  reports: true,
  command: make("HELLO", {
    args: [
      token("3"),
      ...(options.password === undefined
        ? []
        : [token("AUTH"), options.username ?? "default", Redacted.value(options.password)]),
      ...(options.clientName === undefined ? [] : [token("SETNAME"), options.clientName])
    ],
    decode: readHello
  })
})

const stepsWithoutHello = (options: ResolvedOptions): ReadonlyArray<OwnStep> => [
  ...(options.password === undefined
    ? []
    : [
        {
          required: true,
          command: make("AUTH", {
            args: [...(options.username === undefined ? [] : [options.username]), Redacted.value(options.password)]
          })
        }
      ]),
  ...(options.clientName === undefined
    ? []
    : [{ required: false, command: make("CLIENT SETNAME", { args: [options.clientName] }) }]),
  ...(options.protocol === 2 && !options.clientInfo ? [] : [idStep])
]

const pingStep: OwnStep = { required: false, command: make("PING") }

const idStep: OwnStep = {
  required: false,
  reports: true,
  command: make("CLIENT ID", { decode: (reply): ServerFacts => ({ ...unknownServer, id: Decode.integer(reply) }) })
}

const commonSteps = (options: ResolvedOptions): ReadonlyArray<Step> => [
  ...(options.database === 0 ? [] : [{ required: true, command: make("SELECT", { args: [options.database] }) }]),
  ...(options.clientInfo
    ? [
        { required: false, command: make("CLIENT SETINFO", { args: [token("LIB-NAME"), "effect-redis-client"] }) },
        { required: false, command: make("CLIENT SETINFO", { args: [token("LIB-VER"), version] }) }
      ]
    : [])
]

/** The protocol in the reply counts: a proxy may answer 2 when it is asked for 3. */
const readHello = (reply: Reply): ServerFacts => {
  const fields = new Map<string, Reply>()
  const source = Decode.flatEntries(reply)
  for (let i = 0; i < source.length; i += 2) {
    fields.set(Decode.text(source[i] as Reply), source[i + 1] as Reply)
  }
  const id = fields.get("id")
  const text = (name: string): string | undefined => {
    const value = fields.get(name)
    return typeof value === "string"
      ? value
      : value instanceof Uint8Array
        ? utf8Decode(value, 0, value.length)
        : undefined
  }
  return {
    protocol: fields.get("proto") === 3 ? 3 : 2,
    id: typeof id === "number" ? id : undefined,
    server: text("server"),
    version: text("version"),
    mode: text("mode"),
    role: text("role"),
    availabilityZone: text("availability_zone")
  }
}

const failureOf = (exit: Exit.Failure<unknown, RedisError>): RedisError =>
  Option.getOrElse(
    Cause.failureOption(exit.cause),
    () =>
      new ConnectionError({
        reason: "handshake",
        delivery: "unknown",
        message: "the reply to the handshake could not be read"
      })
  )

/**
 * Whether a refused HELLO ends the handshake. Servers and proxies that do not know HELLO have many words for it, so every
 * other error means: go on in RESP2. HELLO is answered NOAUTH also where only AUTH authenticates.
 */
const isFinal = (error: ReplyError, { password }: ResolvedOptions): boolean => {
  switch (error.code) {
    case "NOAUTH":
      return password === undefined
    case "WRONGPASS":
    case "DENIED":
    case "LOADING":
    case "MASTERDOWN":
    case "BUSY":
      return true
    default:
      return /^ERR (?:invalid password|AUTH |max number of clients)/i.test(Redacted.value(error.raw))
  }
}

const handshakeError = (
  error: RedisError,
  command: string,
  options: ResolvedOptions,
  refusal: ReplyError | undefined
): RedisError => {
  /** What is missing when the server asks for a password that the options do not have. */
  const hint = (text: string): string =>
    options.password === undefined && /\bNOAUTH\b/.test(text) ? wantsPassword : ""
  const before =
    refusal === undefined
      ? ""
      : `; it had refused HELLO (${refusalOf(refusal, options)}), so RESP2 was spoken, as with protocol: 2`
  if (error instanceof ConnectionError) {
    // Only the handshake was sent, and nothing that a caller asked for.
    return changed(error, { message: `${error.message}${hint(error.message)}${before}`, delivery: "unsent" })
  }
  if (!(error instanceof ReplyError)) {
    return error
  }
  const authentication =
    error.code === "NOAUTH" ||
    error.code === "WRONGPASS" ||
    command === "AUTH" ||
    /^ERR invalid password|^ERR AUTH/i.test(Redacted.value(error.raw))
  return new ConnectionError({
    reason: authentication ? "authentication" : "handshake",
    delivery: "unsent",
    message: `the server refused ${command}: ${
      command === "HELLO" ? refusalOf(error, options) : (wordsOf(error) ?? error.code)
    }${hint(error.code)}${before}`,
    cause: error
  })
}

/**
 * The words with which a server refused HELLO. Servers may quote its arguments, so beyond fixed sentences they are only shown
 * when nothing secret was sent.
 */
const refusalOf = (error: ReplyError, { clientName, password }: ResolvedOptions): string => {
  const raw = Redacted.value(error.raw)
  return (
    wordsOf(error) ??
    helloSentences.exec(raw)?.[0] ??
    (password === undefined && clientName === undefined
      ? raw.replace(/[^ -~]/g, "?").slice(0, longestRefusal)
      : error.code)
  )
}

const longestRefusal = 200

/** How servers and proxies say that they do not know HELLO, or not this version of it, up to where they may quote arguments. */
const helloSentences =
  /^(?:ERR )?(?:handle request, )?(?:unknown |unsupported )?command [`'"]?HELLO[`'"]?(?: is not allowed)?|^invalid request$|^NOPROTO (?:unsupported protocol version|sorry,? this protocol version is not supported)|^ERR Protocol version is not an integer or out of range|^ERR wrong number of arguments for [`'"]hello[`'"] command|^NOPERM this user has no permissions to run the [`'"]hello[`'"] command/i

const wantsPassword =
  "; the server wants a password: give it as the option password or credentials, or in the URL (redis://user:password@host)"
