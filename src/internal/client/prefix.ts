/**
 * A client that puts a prefix before the keys of its commands, leases included.
 */
import * as Effect from "effect/Effect"
import { Argument } from "../command/args.js"
import { reword } from "../command/command.js"
import type { RedisCommand, RedisService } from "../command/model.js"

/** Puts a prefix before every argument that is tagged as a key, and before patterns over keys, escaped. */
export const prefixed = (redis: RedisService, prefix: string): RedisService => {
  const pattern = prefix.replace(/[\\*?[\]]/g, "\\$&")
  const rewrite = ({ data, kind }: Argument): string | Uint8Array =>
    kind === "key" || kind === "keyPrefix" ? prepend(prefix, data) : kind === "pattern" ? prepend(pattern, data) : data
  const rewritten = <A>(command: RedisCommand<A>): RedisCommand<A> =>
    reword(command, {
      args: command.args.map((argument) => {
        const data = rewrite(argument)
        return data === argument.data ? argument : new Argument(argument.kind, data)
      })
    })
  return {
    send: (command) => redis.send(rewritten(command)),
    sendAll: (commands, options) =>
      redis.sendAll(
        commands.map((command) => rewritten(command)),
        options
      ),
    lease: Effect.map(redis.lease, (leased) => prefixed(leased, prefix)),
    status: redis.status
  }
}

const prepend = (prefix: string, data: string | Uint8Array): string | Uint8Array => {
  if (typeof data === "string") {
    return prefix + data
  }
  const head = new TextEncoder().encode(prefix)
  const whole = new Uint8Array(head.length + data.length)
  whole.set(head)
  whole.set(data, head.length)
  return whole
}
