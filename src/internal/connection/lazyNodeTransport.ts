/**
 * The Node transport, loaded at the first attempt to connect: importing the library, or using a transport of another
 * runtime, loads neither `node:net` nor `node:tls`.
 */
import * as Effect from "effect/Effect"
import type { Connect } from "./opening.js"

let loaded: Connect | undefined

export const connect: Connect = (endpoint, options, own) =>
  Effect.suspend(() =>
    loaded !== undefined
      ? loaded(endpoint, options, own)
      : Effect.flatMap(
          Effect.promise(() => import("./nodeTransport.js")),
          (module) => {
            loaded = module.connect
            return loaded(endpoint, options, own)
          }
        )
  )
