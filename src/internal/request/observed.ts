/**
 * Reports the start and the end of a request to an observer. Only used where there is one.
 */
import * as Exit from "effect/Exit"
import type { RedisError } from "../../RedisError.js"
import type { RedisCommand } from "../command/model.js"
import { exitOf } from "../effect/atCaller.js"
import { currentFiber, interrupted, onEnd } from "../effect/fork.js"
import { notify } from "../telemetry/observer.js"
import type { RequestSettings, Resume } from "./request.js"

/** A `resume` that also tells the observer how the request ended. To be called on the caller's fiber. */
export const observed = <A>(
  { address, observer }: RequestSettings,
  commands: ReadonlyArray<RedisCommand<unknown>>,
  atomic: boolean,
  resume: Resume<A>
): Resume<A> => {
  const fiber = currentFiber()
  const ended = notify(observer?.request, { commands, atomic, server: address, fiber })
  if (ended === undefined) {
    return resume
  }
  let open = true
  let forget = (): void => {}
  const end = (exit: Exit.Exit<unknown, RedisError>): void => {
    if (open) {
      open = false
      forget()
      notify(ended, exit)
    }
  }
  if (fiber !== undefined) {
    // A caller that is interrupted may get no result. Its request ends with its fiber.
    forget = onEnd(fiber, () => end(interrupted))
  }
  return (result) => {
    end(Exit.asVoid(exitOf(result)))
    resume(result)
  }
}
