/**
 * A Redis and Valkey client for Effect. `Redis` and `RedisPubSub` are the clients themselves; every other export is the
 * namespace of a module.
 *
 * @since 0.1.0
 */

/**
 * @since 0.1.0
 */
export * as Codec from "./Codec.js"
/**
 * @since 0.1.0
 */
export * as Connection from "./Connection.js"
/**
 * @since 0.1.0
 */
export * as Pool from "./Pool.js"
/**
 * @since 0.1.0
 */
export { Redis } from "./Redis.js"
/**
 * @since 0.1.0
 */
export * as RedisCommand from "./RedisCommand.js"
/**
 * @since 0.1.0
 */
export * as RedisError from "./RedisError.js"
/**
 * @since 0.1.0
 */
export * as RedisFunction from "./RedisFunction.js"
/**
 * @since 0.1.0
 */
export * as RedisHash from "./RedisHash.js"
/**
 * @since 0.1.0
 */
export { RedisPubSub } from "./RedisPubSub.js"
/**
 * @since 0.1.0
 */
export * as RedisScript from "./RedisScript.js"
/**
 * @since 0.1.0
 */
export * as RedisStream from "./RedisStream.js"
/**
 * @since 0.1.0
 */
export * as Resp from "./Resp.js"
