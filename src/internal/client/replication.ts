/**
 * Writes and the WAIT for their replicas, on one leased connection, because WAIT is about the writes of its own connection.
 */
import * as Effect from "effect/Effect"
import type { PipelineError, RedisError } from "../../RedisError.js"
import { args, type DurationWithUnit } from "../command/args.js"
import { define } from "../command/command.js"
import { type Decoder, integer, tuple } from "../command/decode.js"
import { Redis } from "../command/model.js"
import { type BatchCommands, pipeline } from "./batch.js"

export interface ReplicationOptions {
  /** How many replicas should have the writes. */
  readonly replicas: number
  /** Also wait until the writes are in the append-only files, this server's (`local`) and the replicas' (WAITAOF). */
  readonly aof?: { readonly local: 0 | 1 } | undefined
  /** How long to wait for them. The writes stay done when it passes. `Duration.infinity` for ever. */
  readonly timeout: DurationWithUnit
}

export interface Replicated<A> {
  /** What the commands answered, in their shape. */
  readonly results: A
  /** How many replicas have the writes (with `aof`: in their files). */
  readonly replicas: number
  /** With `aof`: how many of this server's own files have them, 0 or 1. */
  readonly local: number
}

export const withReplication = (
  options: ReplicationOptions,
  commands: BatchCommands
): Effect.Effect<Replicated<unknown>, RedisError | PipelineError, Redis> =>
  Effect.scoped(
    Effect.gen(function* () {
      const wait = waitFor(options)
      if (wait.problem !== undefined) {
        return yield* wait.problem
      }
      const redis = yield* Effect.flatMap(Redis, (redis) => redis.lease)
      const results = yield* Effect.provideService(pipeline(commands), Redis, redis)
      return { results, ...(yield* redis.send(wait)) }
    })
  )

/** Made before the writes are sent, so that a wrong argument of WAIT is found before them. */
const waitFor = ({ aof, replicas, timeout }: ReplicationOptions) => {
  const builder = aof === undefined ? args() : args().integer(aof.local)
  if (replicas < 0) {
    builder.fail("the number of replicas must not be negative")
  }
  builder.integer(replicas).timeoutMillis(timeout)
  return aof === undefined ? WAIT(builder, readWait) : WAITAOF(builder, readWaitAof)
}

const WAIT = define("WAIT")
const WAITAOF = define("WAITAOF")

interface Reached {
  readonly replicas: number
  readonly local: number
}

const readWait: Decoder<Reached> = (reply) => ({ replicas: integer(reply), local: 0 })

const pair = tuple(integer, integer)
const readWaitAof: Decoder<Reached> = (reply) => {
  const [local, replicas] = pair(reply)
  return { replicas, local }
}
