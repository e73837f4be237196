/**
 * A server for the time of one function: an empty one of its own, real if there is one and else embedded; or the one at
 * `REDIS_URL` if that is set, which is neither emptied nor stopped.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as RedisServer from "effect-redis-client/testing/RedisServer"

export interface Server {
  readonly name: string
  readonly url: string
}

export const withServer = <A>(use: (server: Server) => Promise<A>): Promise<A> => {
  const given = process.env.REDIS_URL
  if (given !== undefined && given !== "") return use({ name: "the server at REDIS_URL", url: given })
  return RedisServer.makeAny().pipe(
    Effect.flatMap(({ product, url, version }) =>
      Effect.promise(() => use({ name: `${product} ${version}`, url: Redacted.value(url) }))
    ),
    Effect.scoped,
    Effect.runPromise
  )
}
