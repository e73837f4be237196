/**
 * A scheduler with one runner for all fibers. Effect's default scheduler has a runner for each fiber, so a turn of the
 * event loop that resumes a thousand fibers creates a thousand promises. Here all fibers resumed in one turn run as one
 * batch. Effect 4 continues a fiber where it is resumed, so there is nothing to share; used by the layers of `Redis`.
 */
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import * as Timers from "../engine/timers.js"

/**
 * After this many consecutive batches the scheduler yields to the event loop, as Effect's own scheduler does, so that
 * I/O does not starve.
 */
const batchesOnEnd = 2048

const make = (): Scheduler.Scheduler => {
  const runner = new Scheduler.SchedulerRunner((depth, drain) => {
    if (depth >= batchesOnEnd) {
      Timers.setTimeout(() => drain(0), 0)
    } else {
      Promise.resolve(undefined).then(() => drain(depth + 1))
    }
  })
  return Scheduler.make((task, priority) => runner.scheduleTask(task, priority))
}

export const layer: Layer.Layer<never> = Layer.suspend(() => Layer.setScheduler(make()))
