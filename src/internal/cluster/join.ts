/**
 * One reply from the replies of several nodes, by the command's response policy.
 *
 * @see https://redis.io/docs/latest/develop/reference/command-tips/#response_policy
 */
import type { RedisCommand } from "../command/model.js"
import { isMapReply, MapReply, type Reply } from "../resp/values.js"

/** Of a command that was split by its keys: each part's reply, with the places of its keys in the whole. */
export const joinParts = (
  { traits }: RedisCommand<unknown>,
  parts: ReadonlyArray<{ readonly places: ReadonlyArray<number>; readonly reply: Reply }>
): Reply => {
  if (traits.responsePolicy !== "default") {
    return joinAll(
      traits.responsePolicy,
      parts.map(({ reply }) => reply)
    )
  }
  const whole: Array<Reply> = []
  for (const { places, reply } of parts) {
    if (!Array.isArray(reply) || reply.length !== places.length) {
      // Whatever it is, it is no list of values, and the decoder says so.
      return null
    }
    const items = reply as ReadonlyArray<Reply>
    for (let i = 0; i < places.length; i++) {
      whole[places[i] as number] = items[i] as Reply
    }
  }
  return whole
}

/** Of a command that went to several nodes as it is. */
export const joinNodes = ({ name, traits }: RedisCommand<unknown>, replies: ReadonlyArray<Reply>): Reply => {
  if (name === "RANDOMKEY") {
    const keys = replies.filter((reply) => reply !== null)
    return keys.length === 0 ? null : (keys[Math.floor(Math.random() * keys.length)] as Reply)
  }
  return joinAll(traits.responsePolicy, replies)
}

const joinAll = (policy: RedisCommand<unknown>["traits"]["responsePolicy"], replies: ReadonlyArray<Reply>): Reply => {
  switch (policy) {
    case "agg_sum":
      return aggregate(replies, (a, b) => a + b)
    case "agg_min":
    case "agg_logical_and":
      return aggregate(replies, Math.min)
    case "agg_max":
    case "agg_logical_or":
      return aggregate(replies, Math.max)
    case "default":
      return concatenated(replies)
    default:
      return replies[0] as Reply
  }
}

const concatenated = (replies: ReadonlyArray<Reply>): Reply => {
  if (replies.every(isMapReply)) {
    return new MapReply(replies.flatMap(({ items }) => [...items]))
  }
  return replies.every((reply) => Array.isArray(reply))
    ? (replies as ReadonlyArray<ReadonlyArray<Reply>>).flat(1)
    : (replies[0] as Reply)
}

/** Integers, or lists of integers place by place. */
const aggregate = (replies: ReadonlyArray<Reply>, f: (a: number, b: number) => number): Reply =>
  replies.reduce((a, b) =>
    Array.isArray(a) && Array.isArray(b)
      ? (a as ReadonlyArray<Reply>).map((item, i) => combined(item, (b as ReadonlyArray<Reply>)[i] as Reply, f))
      : combined(a as Reply, b as Reply, f)
  ) as Reply

const combined = (a: Reply, b: Reply, f: (a: number, b: number) => number): Reply => {
  // Integers beyond 2^53 are bigints; no sum of counts of keys reaches that.
  const joined = f(Number(a), Number(b))
  return Number.isNaN(joined) ? a : joined
}
