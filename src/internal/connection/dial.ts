/**
 * The one way to open a link: from an endpoint that is asked for at each attempt, credentials, a transport that is handed
 * in, and the handshake with the steps that the caller adds. The whole attempt is bounded by `connectTimeout`. Between two
 * attempts a dial only keeps which steps of the handshake a peer does not bear; keeping a link open is the job of
 * reconnect.ts and of the pool.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { ConnectionError, DeadlineError, type RedisError } from "../../RedisError.js"
import { forker, interruptFork } from "../effect/fork.js"
import * as Timers from "../engine/timers.js"
import type { CloseReason, Transport } from "../engine/transport.js"
import { changed } from "../request/failure.js"
import { notify, type Observer } from "../telemetry/observer.js"
import { annotated } from "./about.js"
import * as Credentials from "./credentials.js"
import { type ExtraSteps, endedSilently, type LeftOut, shakeHands } from "./handshake.js"
import { Link } from "./link.js"
import type { Connect, Own, Restore, Stage, Started } from "./opening.js"
import { type Endpoint, type ResolvedOptions, showEndpoint } from "./options.js"
import type { ServerFacts } from "./serverFacts.js"

/** Where the server is: fixed, or asked for at each attempt (a Sentinel, a cluster's map, a service registry). */
export type EndpointSource = Endpoint | Effect.Effect<Endpoint, RedisError>

export interface DialSettings {
  readonly options: ResolvedOptions
  readonly connect: Connect
  /** Default: the endpoint of the options. */
  readonly endpoint?: EndpointSource | undefined
  /** Further steps of the handshake. */
  readonly steps?: ExtraSteps | undefined
  /** Whether the server is one of those that are wanted, asked after the handshake. A failure ends the attempt. */
  readonly check?: ((link: Link, facts: ServerFacts) => Effect.Effect<void, RedisError>) | undefined
  readonly observer?: Observer | undefined
}

/** What one attempt asks for. */
export interface Attempt {
  /** Makes a part of the attempt interruptible. The attempt itself runs where nothing interrupts. */
  readonly restore: Restore
  /** In milliseconds. Default: the option `connectTimeout`. */
  readonly connectTimeout?: number | undefined
  /** Default: the option `database`. */
  readonly database?: number | undefined
  readonly started?: Started | undefined
}

export interface Dial {
  readonly options: ResolvedOptions
  readonly observer: Observer | undefined
  /** The address of the last attempt, for errors and logs. */
  readonly address: string
  /** How far the last attempt came; `undefined` before the first. */
  readonly stage: Stage | undefined
  /**
   * Opens a link. Whoever opens it closes it. To be run where nothing interrupts, so that the caller is sure to get the link
   * or there is none.
   */
  readonly open: (attempt: Attempt) => Effect.Effect<Link, RedisError>
}

export const makeDial = (settings: DialSettings): Dial => new DialOf(settings)

class DialOf implements Dial {
  readonly options: ResolvedOptions
  readonly observer: Observer | undefined
  address: string
  stage: Stage | undefined
  private readonly peculiarities = new Peculiarities()

  constructor(private readonly settings: DialSettings) {
    this.options = settings.options
    this.observer = settings.observer
    this.address = showEndpoint(settings.options.endpoint)
  }

  open({ connectTimeout, database, restore, started }: Attempt): Effect.Effect<Link, RedisError> {
    const options = {
      ...this.options,
      ...(connectTimeout === undefined ? {} : { connectTimeout }),
      ...(database === undefined ? {} : { database })
    }
    const { check, connect, endpoint, observer, steps } = this.settings
    // OpenSSL's newer servers end a connection that begins with something else without a word.
    const ifUnheard = (to: Endpoint) =>
      options.tls === undefined && to._tag === "Tcp" ? "; if this port speaks TLS, ask for it" : ""
    const opened = Effect.suspend(() => {
      // Of this attempt: others may run at the same time, to other addresses.
      let { address } = this
      const began = notify(observer?.attempt, { server: address })
      const link = openOver(
        (own) =>
          Effect.map(this.locate(endpoint, own), (to) => {
            address = this.address = showEndpoint(to)
            return { transport: connect(to, options, own), ifUnheard: ifUnheard(to) }
          }),
        options,
        {
          restore,
          started,
          steps: steps ?? [],
          check,
          observer,
          address: () => address,
          onStage: (stage) => {
            this.stage = stage
          },
          peculiarities: this.peculiarities
        }
      )
      return began === undefined
        ? link
        : Effect.onExit(link, (exit) => Effect.sync(() => notify(began, Exit.asVoid(exit))))
    })
    return Effect.tap(opened, (link) => reportEnd(link, observer))
  }

  private locate(source: EndpointSource | undefined, own: Own): Effect.Effect<Endpoint, RedisError> {
    return source === undefined || !Effect.isEffect(source)
      ? Effect.succeed(source ?? this.options.endpoint)
      : asked(source, own, "the server's address did not come")
  }
}

/** Logs the beginning and the end of a link at debug level, and reports both to the observer. */
export const reportEnd = (link: Link, observer: Observer | undefined): Effect.Effect<void> =>
  Effect.map(forker(), (fork) => {
    const server = link.address
    notify(observer?.connection, { server, id: link.id, change: "ready", reason: undefined })
    const log = (message: string, annotations: Readonly<Record<string, unknown>>): void => {
      fork(
        annotated(Effect.logDebug(message), { server, client: link.options.clientName }).pipe(
          Effect.annotateLogs({ ...annotations, ...(link.id === undefined ? {} : { connection: link.id }) })
        )
      )
    }
    log("Redis connection opened", {})
    const ended = (close: CloseReason): void => {
      notify(observer?.connection, { server, id: link.id, change: "lost", reason: close.reason })
      log(`Redis connection ended: ${close.message}`, { reason: close.reason })
    }
    // It may have ended right after its handshake.
    if (link.engine.closed === undefined) {
      link.onClose(ended)
    } else {
      ended(link.engine.closed)
    }
  })

/** A transport that is about to be made, and what to add to the error when its peer ends it at its first bytes. */
interface Making<R> {
  readonly transport: Effect.Effect<Transport, RedisError, R>
  readonly ifUnheard: string
}

interface Opening {
  readonly restore: Restore
  readonly started?: Started | undefined
  readonly steps: ExtraSteps
  readonly check?: DialSettings["check"]
  readonly observer: Observer | undefined
  readonly address: () => string
  readonly onStage?: ((stage: Stage) => void) | undefined
  readonly peculiarities: Peculiarities
}

/**
 * Opens a link over transports that the caller makes. A second transport is only asked for when the peer ends the first one
 * at a step of the handshake that can be left out.
 */
export const openOver = <R>(
  make: (own: Own) => Effect.Effect<Making<R>, RedisError, R>,
  options: ResolvedOptions,
  opening: Opening
): Effect.Effect<Link, RedisError, R> =>
  Effect.suspend(() => {
    const { connectTimeout } = options
    let end = (): void => {}
    let aborted: RedisError | undefined
    let hint: Stage = "no connection was made"
    const own: Own = (next, stage = "the peer does not answer the handshake") => {
      end = next
      hint = stage
      opening.onStage?.(stage)
      if (aborted !== undefined) {
        next()
      }
    }
    // Ends what was opened, so that the attempt fails by itself: that works where nothing can be interrupted, too.
    const abort = (error: RedisError): void => {
      aborted ??= error
      end()
    }
    const unlimit = Timers.limit(connectTimeout, () =>
      abort(new DeadlineError({ phase: "connect", delivery: "unsent", milliseconds: connectTimeout, hint }))
    )
    opening.started?.(abort)
    const ready = Effect.flatMap(withCredentials(options, own), (options) => negotiate(make, options, own, opening))
    return opening.restore(ready).pipe(
      Effect.flatMap((link) => (aborted === undefined ? Effect.succeed(link) : Effect.fail(aborted))),
      Effect.mapError((error) => withServer(aborted ?? error, opening.address())),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          unlimit()
          if (!Exit.isSuccess(exit)) {
            end()
          }
        })
      )
    )
  })

/** Names the server in an error of an attempt to connect. */
const withServer = (error: RedisError, server: string): RedisError =>
  error._tag === "ConnectionError" && error.server === undefined
    ? changed(error, { server })
    : error._tag === "DeadlineError" && error.server === undefined
      ? new DeadlineError({ ...error, server })
      : error

/** Runs an Effect of the user's, which may never end, so that the end of the attempt ends it. */
const asked = <A, E extends RedisError>(
  effect: Effect.Effect<A, E>,
  own: Own,
  stage: Stage
): Effect.Effect<A, RedisError> =>
  Effect.flatMap(Effect.forkDaemon(Effect.interruptible(effect)), (fiber) => {
    const stop = interruptFork(fiber)
    return Effect.async<A, RedisError>((resume) => {
      own(
        () =>
          resume(
            Effect.zipRight(
              stop,
              Effect.fail(
                new ConnectionError({
                  reason: stage === "the credentials did not come" ? "credentials" : "connect",
                  delivery: "unsent",
                  message: stage
                })
              )
            )
          ),
        stage
      )
      fiber.addObserver((exit) => resume(exit))
      return stop
    })
  })

/** The options with the credentials of this moment. */
const withCredentials = (options: ResolvedOptions, own: Own): Effect.Effect<ResolvedOptions, RedisError> => {
  const given = Credentials.current(options)
  return given === undefined
    ? Effect.succeed(options)
    : Effect.map(asked(given, own, "the credentials did not come"), ({ password, username }) => ({
        ...options,
        password,
        username
      }))
}

/** Which steps of the handshake each peer, by its address, does not bear: it ends the connection. Known to one dial. */
export class Peculiarities {
  private readonly known = new Map<string, { readonly leftOut: LeftOut; readonly times: number }>()

  /** What a first handshake leaves out. One end of a connection may be chance, so it takes two in a row. */
  leftOut(address: string): LeftOut {
    const known = this.known.get(address)
    return known !== undefined && known.times > 1 ? known.leftOut : nothing
  }

  /** A handshake succeeded, either as it was tried first (`undefined`), or without these steps after it had failed with them. */
  learn(address: string, leftOut: LeftOut | undefined): void {
    if (leftOut !== undefined) {
      this.known.set(address, { leftOut, times: (this.known.get(address)?.times ?? 0) + 1 })
    } else if (this.leftOut(address).size === 0) {
      this.known.delete(address)
    }
  }
}

const nothing: LeftOut = new Set()

/**
 * Connects and shakes hands. When the peer ends the connection at a step that can be left out, the handshake is tried once
 * more without it, on a new transport.
 */
const negotiate = <R>(
  make: (own: Own) => Effect.Effect<Making<R>, RedisError, R>,
  options: ResolvedOptions,
  own: Own,
  { address, check, observer, peculiarities, steps }: Opening
): Effect.Effect<Link, RedisError, R> => {
  /** Whether the peer ended the last transport at once, and never sent a byte. */
  let unheard = false
  let heard = false
  let ifUnheard = ""
  let leftOut = nothing
  let suspected = nothing
  const attempt = (without: LeftOut): Effect.Effect<Link, RedisError, R> =>
    Effect.flatMap(make(own), (making) => {
      // The address may only be known now.
      leftOut = new Set([...peculiarities.leftOut(address()), ...without])
      ifUnheard = making.ifUnheard
      return Effect.flatMap(making.transport, (transport) => {
        const link = new Link(transport, {
          ...options,
          pushText: options.encoding === "utf8",
          address: address(),
          observer
        })
        own(() => link.destroy("the handshake failed"))
        const { lastRead } = link.engine
        const suspect = (steps: LeftOut): void => {
          suspected = steps
        }
        return shakeHands(link, { options, leftOut, extra: steps, suspect }).pipe(
          Effect.tapError(() =>
            Effect.sync(() => {
              heard ||= link.engine.lastRead !== lastRead
              unheard = !heard && Timers.now() - lastRead < atOnce
            })
          ),
          Effect.tap((facts) => check?.(link, facts) ?? Effect.void),
          Effect.map((facts) => {
            link.settle(facts)
            return link
          })
        )
      })
    })
  const link = Effect.matchEffect(attempt(nothing), {
    onFailure: (error) =>
      suspected.size === 0
        ? Effect.fail(error)
        : Effect.tap(attempt(suspected), () => Effect.sync(() => peculiarities.learn(address(), leftOut))),
    onSuccess: (link) => {
      peculiarities.learn(address(), undefined)
      return Effect.succeed(link)
    }
  })
  return Effect.mapError(link, (error) =>
    unheard && endedSilently(error) && error._tag === "ConnectionError"
      ? changed(error, { message: `${error.message}${ifUnheard}` })
      : error
  )
}

/** A peer that does not understand the first bytes ends the connection within this time, in milliseconds. */
const atOnce = 2_000
