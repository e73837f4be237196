/** What a client with replicas needs, loaded when there are any: importing the library does not load it. */
import * as Effect from "effect/Effect"

export const listed = Effect.promise(() => import("./listed.js"))
