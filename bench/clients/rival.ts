/**
 * Rivals are installed in `bench/node_modules` only, and the repository type-checks without them. So they are loaded by
 * name at run time, and each client's file says the little it needs of them as an interface.
 */
import { createRequire } from "node:module"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import { effects, promises } from "../runners.js"
import type { Place, Runner, Work } from "../work.js"
import { fanout, fanoutInEffect } from "./fanout.js"

/** A client of promises: how each work is done with it. */
export interface Rival {
  /** `undefined` when it has no such thing. */
  readonly operation: (work: Work) => (() => Promise<unknown>) | undefined
  /** Adds a listener to a channel; none when it was left out. */
  readonly listen?: (channel: string, onMessage: (message: string) => void) => Promise<void>
  readonly close: () => Promise<void>
}

export const load = <A>(place: Place, name: string): A =>
  createRequire(path.join(place.home, "package.json"))(name) as A

export const runner = async (
  place: Place,
  rival: Rival,
  work: Work,
  inEffect: boolean
): Promise<Runner | undefined> => {
  if (work.op === "fanout") {
    const { listen } = rival
    return listen === undefined
      ? undefined
      : inEffect
        ? fanoutInEffect(place, work, listen, rival.close)
        : fanout(place, work, (onMessage) => listen(work.channel, onMessage), rival.close)
  }
  const operation = rival.operation(work)
  if (operation === undefined) {
    return undefined
  }
  return inEffect
    ? effects(() => Effect.tryPromise(operation), Effect.runPromise, rival.close)
    : promises(operation, rival.close)
}
