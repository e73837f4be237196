/**
 * Where a client of one server connects to: the server that its options name, or the one that took its place and was named by
 * the server itself (REDIRECT). The client goes on with that server until it cannot be reached; then the options count again.
 */
import * as Effect from "effect/Effect"
import type { RedisError } from "../../RedisError.js"
import { make as makeCommand, token } from "../command/raw.js"
import * as Timers from "../engine/timers.js"
import type { ErrorReply } from "../resp/values.js"
import type { Observer } from "../telemetry/observer.js"
import { type Attempt, type Dial, makeDial } from "./dial.js"
import type { ExtraSteps, Step } from "./handshake.js"
import type { Link } from "./link.js"
import type { Connect, Stage } from "./opening.js"
import { type Endpoint, type ResolvedOptions, showEndpoint } from "./options.js"
import type { ServerFacts } from "./serverFacts.js"

/** A server that could not be reached is not followed again for this long, in milliseconds. */
const failedMillis = 1_000

export class Moves {
  /** The server that took the place of the one that the options name. */
  private other: Endpoint | undefined
  private failed: { readonly address: string; readonly at: number } | undefined
  private readonly listeners: Array<(message: string) => void> = []

  constructor(private readonly home: Endpoint) {}

  get endpoint(): Endpoint {
    return this.other ?? this.home
  }

  get address(): string {
    return showEndpoint(this.endpoint)
  }

  /** Adds a listener, which leaves the server at once: it is called when another server is followed from now on. */
  onMove(listener: (message: string) => void): void {
    this.listeners.push(listener)
  }

  /**
   * The server at `from` answered with this error that it is a replica. Returns whether the client goes on with another server:
   * the one that the error names, or one that was followed before.
   */
  readonly demoted = (error: ErrorReply, { address: from }: { readonly address: string }): boolean => {
    const to = redirection(error.message)
    if (to === undefined) {
      return false
    }
    const { address } = this
    if (from !== address) {
      // A late reply of a server that was left already.
      return true
    }
    const named = showEndpoint(to)
    const isAway = this.failed?.address === named && Timers.now() - this.failed.at < failedMillis
    if (named === from || isAway) {
      return false
    }
    this.other = to
    for (const listener of this.listeners) {
      listener(`${from} has become a replica of ${named}`)
    }
    return true
  }

  /** An attempt to connect to the server at this address failed. */
  failedAt(address: string): void {
    if (this.other !== undefined && this.address === address) {
      this.failed = { address, at: Timers.now() }
      this.other = undefined
    }
  }
}

/** The server that a replica names as its primary. */
const redirection = (message: string): Endpoint | undefined => {
  const [, host, port] = /^REDIRECT ([^\s/]{1,255}):(\d{1,5})$/.exec(message) ?? []
  return host === undefined || Number(port) < 1 || Number(port) > 65_535
    ? undefined
    : { _tag: "Tcp", host: host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host, port: Number(port) }
}

/** Asks for REDIRECT in place of READONLY. */
const redirectStep: Step = { required: false, command: makeCommand("CLIENT CAPA", { args: [token("redirect")] }) }

export interface MovableSettings {
  readonly options: ResolvedOptions
  readonly connect: Connect
  readonly observer: Observer | undefined
  /** Whether the server is asked to name its primary. `undefined`: when it says that it is a Valkey, and not a replica. */
  readonly redirect: boolean | undefined
}

/** Opens links to the server of the options, or to the one that took its place. */
export class MovableDial implements Dial {
  private readonly inner: Dial

  constructor(
    private readonly moves: Moves,
    { redirect, ...settings }: MovableSettings
  ) {
    const asked: ExtraSteps = [redirectStep]
    this.inner = makeDial({
      ...settings,
      endpoint: Effect.sync(() => moves.endpoint),
      ...(redirect === true ? { steps: asked } : {}),
      ...(redirect === undefined
        ? { laterSteps: ({ role, server }: ServerFacts) => (server === "valkey" && role === "master" ? asked : []) }
        : {}),
      onDemoted: moves.demoted
    })
  }

  get options(): ResolvedOptions {
    return this.inner.options
  }

  get observer(): Observer | undefined {
    return this.inner.observer
  }

  get address(): string {
    return this.moves.address
  }

  get stage(): Stage | undefined {
    return this.inner.stage
  }

  open(attempt: Attempt): Effect.Effect<Link, RedisError> {
    return Effect.suspend(() => {
      const { moves } = this
      const { address } = moves
      return Effect.matchEffect(this.inner.open(attempt), {
        onFailure: (error) => {
          moves.failedAt(address)
          return Effect.fail(error)
        },
        onSuccess: (link) => {
          if (link.address === moves.address) {
            return Effect.succeed(link)
          }
          // Another server was named during the attempt.
          link.destroy("another server has taken its place")
          return this.open(attempt)
        }
      })
    })
  }
}
