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

/** Sends the handshake over a new link, with HELLO or without, and returns what the server reports about itself. */
export const shakeHands = (
  link: Link,
  options: ResolvedOptions,
  hello: boolean,
  extra: ExtraSteps
): Effect.Effect<ServerFacts, RedisError> => {
  const first = hello ? [helloStep(options)] : stepsWithoutHello(options)
  const steps: ReadonlyArray<OwnStep> = [...first, ...commonSteps(options), ...extra]
  return Effect.flatMap(
    link.sendAll(
      // The connect deadline covers it.
      steps.map(({ command }) => withDeadline(command, Duration.infinity)),
      { atomic: false }
    ),
    ({ exits }) => {
      const answer = exits[0]
      if (hello && answer !== undefined && Exit.isFailure(answer) && knowsNoHello(failureOf(answer))) {
        return shakeHands(link, options, false, extra)
      }
      for (const [i, exit] of exits.entries()) {
        const { command, required } = steps[i] as Step
        if (Exit.isFailure(exit)) {
          const error = failureOf(exit)
          // When the connection ended, every step fails, optional ones too; the reply to the first may say why it ended.
          // When an optional step is answered NOAUTH, a password is missing, and no user command would fare better.
          if (required || !(error instanceof ReplyError) || error.code === "NOAUTH") {
            const said = error instanceof ConnectionError ? lastWords(answer) : undefined
            return Effect.fail(handshakeError(said ?? ofAttempt(error, link), command.name, options))
          }
        }
      }
      const reports = exits.flatMap((exit, i) =>
        Exit.isSuccess(exit) && (steps[i] as OwnStep).reports === true ? [exit.value as ServerFacts] : []
      )
      return Effect.succeed(reports[0] ?? unknownServer)
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

/** The error with which a server explained why it ended the connection. */
const lastWords = (answer: Exit.Exit<unknown, RedisError> | undefined): ReplyError | undefined => {
  const error = answer !== undefined && Exit.isFailure(answer) ? failureOf(answer) : undefined
  return error instanceof ReplyError && ownWords(Redacted.value(error.raw)) !== undefined ? error : undefined
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
  {
    required: false,
    reports: true,
    command: make("CLIENT ID", { decode: (reply): ServerFacts => ({ ...unknownServer, id: Decode.integer(reply) }) })
  }
]

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

/** Only these errors say that the server speaks RESP2 alone. Every other error in HELLO's place is a refusal. */
const knowsNoHello = (error: RedisError): boolean =>
  error instanceof ReplyError &&
  (error.code === "NOPROTO" || error.code === "NOPERM" || /^ERR unknown command/i.test(Redacted.value(error.raw)))

const handshakeError = (error: RedisError, command: string, { password }: ResolvedOptions): RedisError => {
  /** What is missing when the server asks for a password that the options do not have. */
  const hint = (text: string): string => (password === undefined && /\bNOAUTH\b/.test(text) ? wantsPassword : "")
  if (error instanceof ConnectionError) {
    // Only the handshake was sent, and nothing that a caller asked for.
    return changed(error, { message: `${error.message}${hint(error.message)}`, delivery: "unsent" })
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
    message: `the server refused ${command}: ${ownWords(Redacted.value(error.raw)) ?? error.code}${hint(error.code)}`,
    cause: error
  })
}

const wantsPassword =
  "; the server wants a password: give it as the option password or credentials, or in the URL (redis://user:password@host)"
