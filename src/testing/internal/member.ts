/*
 * What the nodes of a cluster, and those that sentinels watch, have in common.
 */
import * as Crypto from "node:crypto"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Connection from "../../Connection.js"
import type * as RedisCommand from "../../RedisCommand.js"
import type { RedisError } from "../../RedisError.js"
import type * as RedisServer from "../RedisServer.js"

/** The user that clients are to be: the default user when `username` is not given. */
export interface Login {
  readonly username: string | undefined
  readonly password: Redacted.Redacted<string> | undefined
}

/** A word of `redis.conf`. */
export const quoted = (word: string): string => `"${word.replace(/[\\"]/g, "\\$&")}"`

const sha256 = (text: string): string => Crypto.createHash("sha256").update(text).digest("hex")

/** When there is a user, that user may do everything, and the default user is off. */
export const usersOf = ({
  acl,
  password,
  username
}: Login & { readonly acl: ReadonlyArray<string> }): ReadonlyArray<string> =>
  username === undefined
    ? acl
    : [
        "user default off",
        `user ${username} on ${password === undefined ? "nopass" : `#${sha256(Redacted.value(password))}`} ~* &* +@all`,
        ...acl
      ]

/** The connection to a server, opened when it is first needed, and again when it has ended. */
export const makeRun = (
  server: RedisServer.RedisServer,
  { password, username }: Login,
  clientName: string,
  scope: Scope.Scope
): Effect.Effect<<A>(command: RedisCommand.RedisCommand<A>) => Effect.Effect<A, RedisError>> =>
  Effect.gen(function* () {
    const lock = yield* Effect.makeSemaphore(1)
    let connection: Connection.Connection | undefined
    const open = Effect.gen(function* () {
      if (connection !== undefined && !(yield* connection.closed)) return connection
      connection = yield* Scope.extend(
        Connection.make({
          path: server.socketPath,
          ...(username === undefined ? {} : { username }),
          ...(password === undefined ? {} : { password }),
          expect: "node",
          clientName,
          connectTimeout: "2 seconds",
          closeTimeout: "1 millis"
        }),
        scope
      )
      return connection
    })
    return (command) => Effect.flatMap(lock.withPermits(1)(open), (connection) => connection.execute(command))
  })
