/**
 * A client without a server: a function answers each command, and its replies are decoded as a server's are.
 */
import * as Effect from "effect/Effect"
import type { RedisError } from "../../RedisError.js"
import { decode } from "../command/command.js"
import type { BatchResult, RedisCommand, RedisService } from "../command/model.js"
import type { Reply } from "../resp/values.js"
import { alwaysReady } from "./alwaysReady.js"

export const testService = (
  answer: (request: RedisCommand<unknown>) => Effect.Effect<Reply, RedisError>
): RedisService => {
  const service: RedisService = {
    send: <A>(command: RedisCommand<A>) =>
      command.problem !== undefined
        ? Effect.fail(command.problem)
        : Effect.flatMap(answer(command), (reply) => decode(command, reply)),
    sendAll: (commands): Effect.Effect<BatchResult, RedisError> =>
      Effect.map(
        Effect.forEach(commands, (command) => Effect.exit(service.send(command))),
        (exits) => ({ outcome: "executed", exits })
      ),
    lease: Effect.sync(() => service),
    status: alwaysReady
  }
  return service
}
