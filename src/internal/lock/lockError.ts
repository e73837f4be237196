/** What locks, permits and leadership fail with, beside the errors of commands. */
import * as Schema from "effect/Schema"
import { type ErrorClass, errorClass, literals } from "../effect/errorSchemas.js"

/**
 * The property by which an error of locks is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/LockError")

/**
 * The property by which an error of locks is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

const LockErrorBase: ErrorClass<
  LockError,
  "LockError",
  {
    /** Why: see {@link LockError}. */
    readonly reason: "lost" | "timeout" | "replicas"
    /** The name of the lock or semaphore. It is part of a key, so the message does not show it. */
    readonly resource: string
    readonly message: string
    /** The fencing token of the lock that was lost. */
    readonly fence?: bigint | undefined
  },
  {
    readonly reason: "lost" | "timeout" | "replicas"
    readonly resource: string
    readonly message: string
    readonly fence?: string | undefined
  }
> = errorClass<LockError>("effect-redis-client/LockError")("LockError", () => ({
  reason: literals("lost", "timeout", "replicas"),
  resource: Schema.String,
  message: Schema.String,
  fence: Schema.optional(Schema.BigInt)
}))

/**
 * A lock or a permit was not obtained, or is held no longer.
 *
 * - `lost`: it was held, and is not any more: the server says so, or its validity ended before the server confirmed a renewal.
 *   Somebody else may hold it.
 * - `timeout`: it was not free within `wait`.
 * - `replicas`: it was obtained and given back, because too few replicas had it in time.
 *
 * @since 0.1.0
 * @category errors
 */
export class LockError extends LockErrorBase {
  /** @since 0.1.0 */
  get [TypeId](): TypeId {
    return TypeId
  }

  /**
   * The fence as text, because JSON has no such numbers.
   *
   * @since 0.1.0
   */
  override toJSON(): unknown {
    const { _tag, fence, message, reason, resource } = this
    return { _tag, reason, resource, message, ...(fence === undefined ? {} : { fence: String(fence) }) }
  }
}
