/**
 * Scans as Streams, one page at a time. No connection is held between pages.
 *
 * A cursor is valid only for the server process that returned it. Therefore each page is sent together with INFO
 * server, whose `run_id` identifies the process (it costs the server about as much as a page of ten keys). While the
 * `run_id` stays the same, the scan continues over any connection, and a page whose reply was lost is requested again.
 * When it changes, the scan fails. CLIENT ID would be cheaper but does not suffice: a restarted server counts from 1
 * again. When the server refuses INFO, the scan continues without it, and then fails when the reply of a page is lost.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ScanOptions } from "../../commands/generic.js"
import type { HscanAll } from "../../commands/hash.js"
import type { SscanOptions } from "../../commands/set.js"
import type { ZscanOptions } from "../../commands/sorted-set.js"
import type { ScoredMember } from "../../commands/sorted-set-range.js"
import { ConnectionError, type RedisError } from "../../RedisError.js"
import { args, type Checked, type IfFlag, type Key } from "../command/args.js"
import { define } from "../command/command.js"
import type { ScanPage } from "../command/decode.js"
import type { RedisCommand } from "../command/model.js"
import { Redis, type RedisService } from "../command/model.js"
import * as Report from "../command/report.js"
import { paginate } from "../effect/pages.js"
import { ofCommand } from "../request/failure.js"

/**
 * Streams of keys, fields and members that may be too many for one reply. Every element that exists during the whole
 * scan is emitted at least once. An element that is added or removed meanwhile may or may not be emitted, and any
 * element may be emitted twice.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScanStreams<V, K extends Key> {
  /**
   * Every key of the database, by pages of SCAN. Under `withPrefix`, only keys with the prefix, with their full names.
   *
   * @example
   * ```ts
   * yield* Redis.scanStream({ match: "user:*" }).pipe(Stream.runForEach((key) => Effect.log(key)))
   * ```
   */
  readonly scanStream: (options?: ScanOptions) => Stream.Stream<K, RedisError, Redis>
  /** Every field of a hash with its value (without it under `novalues`), by pages of HSCAN. */
  readonly hscanStream: {
    /** Every field of a hash with its value (without it under `novalues`), by pages of HSCAN. */
    (key: Key): Stream.Stream<[K, V], RedisError, Redis>
    /** Every field of a hash with its value (without it under `novalues`), by pages of HSCAN. */
    <const O extends HscanAll | undefined>(
      key: Key,
      options: Checked<O, HscanAll>
    ): Stream.Stream<IfFlag<O, "novalues", K, [K, V]>, RedisError, Redis>
  }
  /** Every member of a set, by pages of SSCAN. */
  readonly sscanStream: (key: Key, options?: SscanOptions) => Stream.Stream<V, RedisError, Redis>
  /** Every member of a sorted set with its score, by pages of ZSCAN. */
  readonly zscanStream: (key: Key, options?: ZscanOptions) => Stream.Stream<ScoredMember<V>, RedisError, Redis>
}

/** The position of a scan: its cursor, and the `run_id` of the server process that returned it. */
export interface Position {
  readonly cursor: string
  readonly run: string | undefined
}

export const beginning: Position = { cursor: "0", run: undefined }

/**
 * It says of which run the page before it is, so it must come over the same connection. As it is not repeatable here, the
 * client does not send it again without its page.
 */
const runId = define("INFO", { traits: { repeatable: false } })(
  args().text("server"),
  (reply) => /run_id:(\w+)/.exec(Report.text(reply))?.[1]
)

/** How often a page is requested again when its reply was lost. */
const maxRetries = 3

/** The same when a reply broke the connection: if it was the page's own, it breaks the next connection too. */
const maxRetriesOfBroken = 1

const replaced = "the server was restarted or replaced in the middle of a scan; its cursor means nothing to another run"

const otherRun = (command: string, server: string | undefined) =>
  ofCommand(command, new ConnectionError({ reason: "peerClosed", delivery: "unknown", message: replaced, server }))

export const pages = <A>(page: (cursor: string) => RedisCommand<ScanPage<A>>): Stream.Stream<A, RedisError, Redis> =>
  Stream.unwrap(
    Effect.map(Redis, (redis) =>
      redis.scan !== undefined
        ? redis.scan(page)
        : paginate(beginning, (position) =>
            Effect.map(fetch(redis, page(position.cursor), position), ({ items, next }) => [
              items,
              next.cursor === "0" ? Option.none<Position>() : Option.some(next)
            ])
          )
    )
  )

export interface Fetched<A> {
  readonly items: ReadonlyArray<A>
  readonly next: Position
}

/** Asks for a page. */
export const fetch = <A>(
  redis: RedisService,
  command: RedisCommand<ScanPage<A>>,
  position: Position,
  retries = maxRetries
): Effect.Effect<Fetched<A>, RedisError> =>
  Effect.flatMap(Effect.exit(redis.sendAll([command, runId], once)), (asked): Effect.Effect<Fetched<A>, RedisError> => {
    const exits = Exit.isSuccess(asked) ? asked.value.exits : [asked, asked]
    const page = exits[0] as Exit.Exit<ScanPage<A>, RedisError>
    const told = exits[1] as Exit.Exit<string | undefined, RedisError>
    const first = position.cursor === "0"
    if ((isLost(page) || isLost(told)) && retries > 0 && (first || position.run !== undefined)) {
      const broken = isBroken(page) || isBroken(told)
      return fetch(redis, command, position, Math.min(retries, broken ? maxRetriesOfBroken : maxRetries) - 1)
    }
    if (Exit.isFailure(page)) {
      return Effect.failCause(page.cause)
    }
    const run = Exit.isSuccess(told) ? told.value : undefined
    if (position.run !== undefined && run !== position.run) {
      return Effect.failSync(() => otherRun(command.name, redis.about?.server))
    }
    return Effect.succeed({ items: page.value.items, next: { cursor: page.value.cursor, run } })
  })

const once = { atomic: false } as const

const failsWith = (exit: Exit.Exit<unknown, RedisError>, tag: RedisError["_tag"]): boolean =>
  Exit.isFailure(exit) && Option.exists(Cause.failureOption(exit.cause), ({ _tag }) => _tag === tag)

const isBroken = (exit: Exit.Exit<unknown, RedisError>): boolean => failsWith(exit, "ProtocolError")

const isLost = (exit: Exit.Exit<unknown, RedisError>): boolean => failsWith(exit, "ConnectionError") || isBroken(exit)

/** Makes the Streams from the commands of one codec. */
export const make = <V, K extends Key>(commands: {
  readonly scan: (cursor: string, options?: ScanOptions) => RedisCommand<ScanPage<K>>
  readonly hscan: (key: Key, cursor: string, options?: HscanAll) => RedisCommand<ScanPage<K | [K, V]>>
  readonly sscan: (key: Key, cursor: string, options?: SscanOptions) => RedisCommand<ScanPage<V>>
  readonly zscan: (key: Key, cursor: string, options?: ZscanOptions) => RedisCommand<ScanPage<ScoredMember<V>>>
}): ScanStreams<V, K> => ({
  // The pattern `*` costs the server nothing, and gives `withPrefix` a pattern to put its prefix before.
  scanStream: (options) => pages((cursor) => commands.scan(cursor, { ...options, match: options?.match ?? "*" })),
  hscanStream: ((key: Key, options?: HscanAll) =>
    pages((cursor) => commands.hscan(key, cursor, options))) as ScanStreams<V, K>["hscanStream"],
  sscanStream: (key, options) => pages((cursor) => commands.sscan(key, cursor, options)),
  zscanStream: (key, options) => pages((cursor) => commands.zscan(key, cursor, options))
})
