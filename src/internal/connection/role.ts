/**
 * Whether a server is a master or a replica, asked when a link to it is opened: a server that is found under an address may
 * have changed its role since. HELLO says the role; where it was not sent, ROLE is asked.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { ConnectionError, type RedisError } from "../../RedisError.js"
import { withDeadline } from "../command/command.js"
import * as Decode from "../command/decode.js"
import { make as makeCommand } from "../command/raw.js"
import type { Reply } from "../resp/values.js"
import type { Link } from "./link.js"
import type { ServerFacts } from "./serverFacts.js"

/** The connect deadline covers it. */
const role = withDeadline(
  makeCommand("ROLE", {
    decode: (reply) =>
      Decode.text(Array.isArray(reply) ? ((reply as ReadonlyArray<Reply>)[0] ?? "") : reply) === "master"
        ? "master"
        : "replica"
  }),
  Duration.infinity
)

/**
 * Fails when a server has another role than `wanted`. `refused` is called with the error. A server that does not tell its role,
 * because the user has no permission to ask or it does not know ROLE, is accepted.
 */
export const expectRole =
  (wanted: "master" | "replica", refused: (error: RedisError) => void = () => {}) =>
  (link: Link, facts: ServerFacts): Effect.Effect<void, RedisError> =>
    Effect.flatMap(
      facts.role !== undefined
        ? Effect.succeed(facts.role)
        : Effect.catchTag(link.send(role), "ReplyError", (error) =>
            error.code === "NOPERM" || error.code === "ERR" ? Effect.succeed(wanted) : Effect.fail(error)
          ),
      (is) => {
        if ((is === "master") === (wanted === "master")) {
          return Effect.void
        }
        const error = new ConnectionError({
          reason: "noNode",
          delivery: "unsent",
          server: link.address,
          message: `${link.address} is a ${is === "master" ? "master" : "replica"}, and not a ${wanted}`
        })
        refused(error)
        return Effect.fail(error)
      }
    )
