/**
 * Opening a connection: socket, greeting, and what must be true before the first command of a user (design law 5).
 *
 * The greeting goes out in one write. Required are HELLO (with AUTH) or AUTH, and SELECT for a database other than 0;
 * the client's name and the library's name are courtesies, and their refusal is no failure.
 */

import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { make, type RedisCommand, token, withDeadline } from "../../RedisCommand.js"
import { ConnectionError, DeadlineError, type RedisError, ReplyError } from "../../RedisError.js"
import * as Decode from "../command/decode.js"
import { ownWords, type Transport } from "../engine/engine.js"
import type { Reply } from "../resp/values.js"
import * as Credentials from "./credentials.js"
import { Link } from "./link.js"
import { connect } from "./nodeTransport.js"
import type { ResolvedOptions } from "./options.js"
import { version } from "./version.js"

/** What the server said of itself. */
interface Greeting {
  readonly protocol: 2 | 3
  readonly id: number | undefined
}

/** Restores the interruptibility of the caller, inside a region that is not interruptible. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** How far the opening came, as errors tell it. */
export type Stage =
  | "no connection was made"
  | "the peer does not answer the TLS handshake; does this port speak TLS?"
  | "the peer does not answer the greeting"
  | "the credentials did not come"

/** Told how to end what was opened last, so that nothing is left when the opening fails or is interrupted. */
export type Own = (end: () => void, stage?: Stage) => void

/** Told how to end an opening from outside, with the failure it then has. */
export type Started = (abort: (error: RedisError) => void) => void

/**
 * Opens a link. To be run where nothing interrupts, with how to be interruptible meanwhile: the caller is sure to get
 * the link, or it is gone.
 */
export const open = (options: ResolvedOptions, restore: Restore, started?: Started): Effect.Effect<Link, RedisError> =>
  openOver(
    (own) => connect(options, own),
    options,
    restore,
    started,
    // OpenSSL's newer servers end a connection that begins with something else without a word.
    options.tls === undefined && options.endpoint._tag === "Tcp" ? "; if this port speaks TLS, ask for it" : ""
  )

/**
 * The same over transports that the caller makes; a second one is only asked for when the first is closed at HELLO.
 * `ifUnheard` is added to what is said of a peer that ends the connection at its first bytes.
 */
export const openOver = <R>(
  transport: (own: Own) => Effect.Effect<Transport, RedisError, R>,
  options: ResolvedOptions,
  restore: Restore,
  started?: Started,
  ifUnheard = ""
): Effect.Effect<Link, RedisError, R> =>
  Effect.suspend(() => {
    const { connectTimeout } = options
    let end = (): void => {}
    let aborted: RedisError | undefined
    let hint: Stage = "no connection was made"
    const own: Own = (next, stage = "the peer does not answer the greeting") => {
      end = next
      hint = stage
      if (aborted !== undefined) {
        next()
      }
    }
    // What was opened is ended, and the opening fails by itself: that works where nothing can be interrupted, too.
    const abort = (error: RedisError): void => {
      aborted ??= error
      end()
    }
    const timer =
      connectTimeout > longestTimer
        ? undefined
        : setTimeout(
            () =>
              abort(new DeadlineError({ phase: "connect", delivery: "unsent", milliseconds: connectTimeout, hint })),
            connectTimeout
          )
    started?.(abort)
    const greeted = Effect.flatMap(withCredentials(options, own), (options) =>
      greetAny(() => transport(own), options, own, ifUnheard)
    )
    return restore(greeted).pipe(
      Effect.flatMap((link) => (aborted === undefined ? Effect.succeed(link) : Effect.fail(aborted))),
      Effect.mapError((error) => aborted ?? error),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          clearTimeout(timer)
          if (!Exit.isSuccess(exit)) {
            end()
          }
        })
      )
    )
  })

const late = new ConnectionError({ reason: "credentials", delivery: "unsent", message: "the credentials did not come" })

/** Options with the credentials of this very moment. */
const withCredentials = (options: ResolvedOptions, own: Own): Effect.Effect<ResolvedOptions, RedisError> => {
  const given = Credentials.current(options)
  if (given === undefined) {
    return Effect.succeed(options)
  }
  return Effect.flatMap(Effect.forkDaemon(Effect.interruptible(given)), (fiber) => {
    const stop = Fiber.interruptFork(fiber)
    return Effect.async<ResolvedOptions, RedisError>((resume) => {
      // What ends the opening in its time ends this: the Effect is the user's, and may never end.
      own(() => resume(Effect.zipRight(stop, Effect.fail(late))), "the credentials did not come")
      fiber.addObserver((exit) =>
        resume(
          Exit.match(exit, {
            onFailure: Effect.failCause,
            onSuccess: ({ password, username }) => Effect.succeed({ ...options, password, username })
          })
        )
      )
      return stop
    })
  })
}

const greetAny = <R>(
  transport: () => Effect.Effect<Transport, RedisError, R>,
  options: ResolvedOptions,
  own: Own,
  ifUnheard: string
): Effect.Effect<Link, RedisError, R> => {
  /** Whether the last attempt was ended at once, and nothing at all was read of it. */
  let unheard = false
  const attempt = (hello: boolean): Effect.Effect<Link, RedisError, R> =>
    Effect.flatMap(transport(), (transport) => {
      const link = new Link(transport, { ...options, pushText: options.encoding === "utf8" })
      own(() => link.destroy("the greeting failed"))
      const { lastRead } = link.engine
      const greeted = Effect.tapError(greet(link, options, hello), () =>
        Effect.sync(() => {
          unheard = link.engine.lastRead === lastRead && performance.now() - lastRead < atOnce
        })
      )
      return Effect.map(greeted, (greeting) => {
        link.id = greeting.id
        link.settle(greeting.protocol)
        return link
      })
    })
  const greeted =
    options.protocol === 2 ? attempt(false) : Effect.catchIf(attempt(true), closedAtHello, () => attempt(false))
  return Effect.mapError(greeted, (error) =>
    unheard && endedUnheard(error) ? new ConnectionError({ ...error, message: `${error.message}${ifUnheard}` }) : error
  )
}

/** A peer that takes the first bytes for nonsense ends the connection within this, in milliseconds. */
const atOnce = 2_000

const endedUnheard = (error: RedisError): error is ConnectionError =>
  error._tag === "ConnectionError" &&
  (error.message === closedWithoutAWord || (error.reason === "transport" && /ECONNRESET|EPIPE/.test(error.message)))

/** Some proxies and old servers answer HELLO by closing. */
const closedAtHello = (error: RedisError): boolean =>
  error._tag === "ConnectionError" && error.reason === "peerClosed" && error.message === closedWithoutAWord

const closedWithoutAWord = "the server closed the connection"

const greet = (link: Link, options: ResolvedOptions, hello: boolean): Effect.Effect<Greeting, RedisError> => {
  const first = hello ? [helloCommand(options)] : oldGreeting(options)
  const commands = [...first, ...common(options)]
  return Effect.flatMap(
    link.sendAll(
      // The connect deadline covers it.
      commands.map(({ command }) => withDeadline(command, Duration.infinity)),
      { atomic: false }
    ),
    ({ exits }) => {
      const answer = exits[0]
      if (hello && answer !== undefined && Exit.isFailure(answer) && knowsNoHello(failureOf(answer))) {
        return greet(link, options, false)
      }
      for (const [i, exit] of exits.entries()) {
        const { required } = commands[i] as Step
        if (Exit.isFailure(exit)) {
          const error = failureOf(exit)
          // A connection that ended fails all that was asked, courtesies too; why it ended may stand in the first's place.
          // And where a courtesy is answered that a password is missing, nothing else would be answered better.
          if (required || !(error instanceof ReplyError) || error.code === "NOAUTH") {
            const said = error instanceof ConnectionError ? lastWords(answer) : undefined
            return Effect.fail(handshakeError(said ?? error, (commands[i] as Step).command.name, options))
          }
        }
      }
      const greetings = exits.flatMap((exit, i) =>
        Exit.isSuccess(exit) && (commands[i] as Step).greets ? [exit.value as Greeting] : []
      )
      return Effect.succeed(greetings[0] ?? { protocol: 2, id: undefined })
    }
  )
}

/** What a server says of itself before it ends a connection. */
const lastWords = (answer: Exit.Exit<unknown, RedisError> | undefined): ReplyError | undefined => {
  const error = answer !== undefined && Exit.isFailure(answer) ? failureOf(answer) : undefined
  return error instanceof ReplyError && ownWords(Redacted.value(error.raw)) !== undefined ? error : undefined
}

interface Step {
  readonly command: RedisCommand<unknown>
  readonly required: boolean
  readonly greets?: boolean | undefined
}

const helloCommand = (options: ResolvedOptions): Step => ({
  required: true,
  greets: true,
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

const oldGreeting = (options: ResolvedOptions): ReadonlyArray<Step> => [
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
    greets: true,
    command: make("CLIENT ID", { decode: (reply): Greeting => ({ protocol: 2, id: Decode.integer(reply) }) })
  }
]

const common = (options: ResolvedOptions): ReadonlyArray<Step> => [
  ...(options.database === 0 ? [] : [{ required: true, command: make("SELECT", { args: [options.database] }) }]),
  ...(options.clientInfo
    ? [
        { required: false, command: make("CLIENT SETINFO", { args: [token("LIB-NAME"), "effect-redis-client"] }) },
        { required: false, command: make("CLIENT SETINFO", { args: [token("LIB-VER"), version] }) }
      ]
    : [])
]

/** HELLO's own words are what counts: a proxy may answer 2 to the question for 3. */
const readHello = (reply: Reply): Greeting => {
  const fields = new Map<string, Reply>()
  const source = Decode.flatEntries(reply)
  for (let i = 0; i < source.length; i += 2) {
    fields.set(Decode.text(source[i] as Reply), source[i + 1] as Reply)
  }
  const id = fields.get("id")
  return { protocol: fields.get("proto") === 3 ? 3 : 2, id: typeof id === "number" ? id : undefined }
}

const failureOf = (exit: Exit.Failure<unknown, RedisError>): RedisError =>
  Option.getOrElse(
    Cause.failureOption(exit.cause),
    () => new ConnectionError({ reason: "handshake", delivery: "unknown", message: "the greeting could not be read" })
  )

/** Only these say that the server speaks RESP2 alone; everything else in HELLO's place is a refusal. */
const knowsNoHello = (error: RedisError): boolean =>
  error instanceof ReplyError &&
  (error.code === "NOPROTO" || error.code === "NOPERM" || /^ERR unknown command/i.test(Redacted.value(error.raw)))

const handshakeError = (error: RedisError, command: string, { password }: ResolvedOptions): RedisError => {
  /** Of a server that wants a password and was given none. */
  const hint = (text: string): string => (password === undefined && /\bNOAUTH\b/.test(text) ? wantsPassword : "")
  if (error instanceof ConnectionError) {
    // What was sent was ours: nothing that the caller asked for.
    return new ConnectionError({ ...error, message: `${error.message}${hint(error.message)}`, delivery: "unsent" })
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

/** What `setTimeout` can wait, in milliseconds. */
export const longestTimer = 0x7fff_ffff
