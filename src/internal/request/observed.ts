/**
 * Reports the start and the end of a request to an observer. Only used where there is one.
 */
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { RedisCommand } from "../command/model.js"
import { exitOf } from "../effect/atCaller.js"
import { notify } from "../telemetry/observer.js"
import type { RequestSettings, Resume } from "./request.js"

/** A `resume` that also tells the observer how the request ended. To be called on the caller's fiber. */
export const observed = <A>(
  { address, observer }: RequestSettings,
  commands: ReadonlyArray<RedisCommand<unknown>>,
  atomic: boolean,
  resume: Resume<A>
): Resume<A> => {
  const ended = notify(observer?.request, {
    commands,
    atomic,
    server: address,
    fiber: Option.getOrUndefined(Fiber.getCurrentFiber())
  })
  return ended === undefined
    ? resume
    : (result) => {
        notify(ended, Exit.asVoid(exitOf(result)))
        resume(result)
      }
}
