/**
 * An HTTP API that counts visits in Redis: Effect's HttpApi on Node, one shared client for all requests.
 * The program is its own visitor: it calls the API through a typed client, then ends, and server and connections with it.
 */
import { createServer } from "node:http"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, Redacted, Schema } from "effect"
import { FetchHttpClient, HttpRouter, HttpServer } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiClient, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Redis } from "effect-redis-client"

const Visits = Schema.Struct({ page: Schema.String, visits: Schema.Number })

class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", {}, { httpApiStatus: 503 }) {}

class Api extends HttpApi.make("visits").add(
  HttpApiGroup.make("pages").add(
    HttpApiEndpoint.post("visit", "/visits/:page", {
      params: { page: Schema.String },
      success: Visits,
      error: Unavailable
    }),
    HttpApiEndpoint.get("top", "/visits", { success: Schema.Array(Visits), error: Unavailable })
  )
) {}

const PagesLive = HttpApiBuilder.group(Api, "pages", (handlers) =>
  handlers.handleAll({
    visit: ({ params: { page } }) =>
      Redis.zincrby("example:visits", 1, page).pipe(
        Effect.map((visits) => ({ page, visits })),
        // Our errors are not the client's: what Redis said stays here.
        Effect.tapError(Effect.logError),
        Effect.mapError(() => new Unavailable())
      ),
    top: () =>
      Redis.zrange("example:visits", 0, 9, { rev: true, withscores: true }).pipe(
        Effect.map((pages) => pages.map(([page, visits]) => ({ page, visits }))),
        Effect.tapError(Effect.logError),
        Effect.mapError(() => new Unavailable())
      )
  })
)

const RedisLive = Redis.layerConfig({
  url: Config.withDefault(Config.Redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))
})

/** Port 0: any free one. `HttpServer` says which. */
const ServerLive = HttpRouter.serve(HttpApiBuilder.layer(Api).pipe(Layer.provide(PagesLive)), {
  disableLogger: true,
  disableListenLog: true
}).pipe(Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })))

const visitor = HttpServer.addressFormattedWith((baseUrl) =>
  Effect.gen(function* () {
    const { pages } = yield* HttpApiClient.make(Api, { baseUrl })
    // All at once: on the wire to Redis they leave as they come, on the one connection.
    yield* Effect.forEach(["home", "about", "home", "home", "about"], (page) => pages.visit({ params: { page } }), {
      concurrency: "unbounded"
    })
    for (const { page, visits } of yield* pages.top()) {
      yield* Console.log(`${page}: ${visits}`)
    }
  })
)

Redis.del("example:visits").pipe(
  Effect.andThen(visitor),
  Effect.provide([ServerLive, FetchHttpClient.layer]),
  Effect.provide(RedisLive),
  NodeRuntime.runMain
)

// prints:
//   home: 3
//   about: 2
