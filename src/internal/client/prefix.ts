/**
 * A client that puts a prefix before the keys of its commands, leases included.
 */
import * as Effect from "effect/Effect"
import { Argument, type Key } from "../command/args.js"
import { reword } from "../command/command.js"
import type { RedisCommand, RedisService, ScanCommand } from "../command/model.js"
import { prefixArguments } from "../command/prefix.js"

/**
 * The newest services with a prefix, of each client: a program that runs many Effects with one prefix gets one service, by which
 * they know each other as contenders for a lock.
 */
const made = new WeakMap<RedisService, Map<string, RedisService>>()

/** How many are kept for one client. Prefixes may come from a program's data. */
const mostMade = 100

export const prefixed = (redis: RedisService, prefix: string): RedisService => {
  let ofClient = made.get(redis)
  if (ofClient === undefined) {
    ofClient = new Map()
    made.set(redis, ofClient)
  }
  const service = ofClient.get(prefix) ?? make(redis, prefix)
  ofClient.delete(prefix)
  ofClient.set(prefix, service)
  if (ofClient.size > mostMade) {
    for (const oldest of ofClient.keys()) {
      ofClient.delete(oldest)
      break
    }
  }
  return service
}

const make = (redis: RedisService, prefix: string): RedisService => {
  const rewrite = prefixArguments(prefix)
  const rewritten = <A>(command: RedisCommand<A>): RedisCommand<A> =>
    reword(command, {
      args: command.args.map((argument) => {
        const data = rewrite(argument)
        return data === argument.data ? argument : new Argument(argument.kind, data)
      })
    })
  return {
    send: (command) => redis.send(rewritten(command)),
    sendAll: (commands, options) => redis.sendAll(commands.map(rewritten), options),
    lease: Effect.map(redis.lease, (leased) => prefixed(leased, prefix)),
    ...(redis.scan === undefined ? {} : { scan: scanOf(redis.scan, rewritten) }),
    ...(redis.readFrom === undefined ? {} : { readFrom: readFromOf(redis.readFrom, prefix) }),
    ...(redis.slotOf === undefined ? {} : { slotOf: slotOfPrefixed(redis.slotOf, rewrite) }),
    status: redis.status,
    about: redis.about
  }
}

const scanOf =
  (scan: NonNullable<RedisService["scan"]>, rewritten: <A>(command: RedisCommand<A>) => RedisCommand<A>) =>
  <A>(page: ScanCommand<A>) =>
    scan((cursor) => rewritten(page(cursor)))

const slotOfPrefixed =
  (
    slotOf: NonNullable<RedisService["slotOf"]>,
    rewrite: (argument: Argument) => Key
  ): NonNullable<RedisService["slotOf"]> =>
  (key) =>
    slotOf(rewrite(new Argument("key", key)))

const readFromOf =
  (readFrom: NonNullable<RedisService["readFrom"]>, prefix: string): NonNullable<RedisService["readFrom"]> =>
  (from) =>
    prefixed(readFrom(from), prefix)
