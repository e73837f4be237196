/**
 * What log lines say about a client: the server's address and the client's name.
 */
import * as Effect from "effect/Effect"
import type { About } from "../command/model.js"
import type { Observer } from "../telemetry/observer.js"

/** The address is the one of the last attempt to connect. */
export const aboutOf = (dial: {
  readonly address: string
  readonly options: { readonly clientName: string | undefined }
  readonly observer: Observer | undefined
}): About => ({
  get server() {
    return dial.address
  },
  client: dial.options.clientName,
  insight: dial.observer?.insight
})

/** Adds the server and the client to the log lines of an Effect. */
export const annotated = <A, E, R>(effect: Effect.Effect<A, E, R>, about: About | undefined): Effect.Effect<A, E, R> =>
  about === undefined
    ? effect
    : Effect.suspend(() =>
        Effect.annotateLogs(effect, {
          "server.address": about.server,
          ...(about.client === undefined ? {} : { "redis.client.name": about.client })
        })
      )
