/**
 * One runner for all fibers. Effect's default scheduler has one for each fiber, so a turn that resumes a thousand of them
 * makes a thousand promises; here what one turn of the event loop resumes runs as one batch.
 */
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"

/** After so many batches on end the event loop gets its turn, as in Effect's own scheduler: I/O must not starve. */
const batchesOnEnd = 2048

const make = (): Scheduler.Scheduler => {
  const runner = new Scheduler.SchedulerRunner((depth, drain) => {
    if (depth >= batchesOnEnd) {
      setTimeout(() => drain(0), 0)
    } else {
      Promise.resolve(undefined).then(() => drain(depth + 1))
    }
  })
  return Scheduler.make((task, priority) => runner.scheduleTask(task, priority))
}

export const layer: Layer.Layer<never> = Layer.suspend(() => Layer.setScheduler(make()))
