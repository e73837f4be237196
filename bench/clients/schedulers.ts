import * as Scheduler from "effect/Scheduler"

/**
 * Effect's default scheduler has a runner for each fiber, so that resuming a thousand fibers takes a thousand promises.
 * This one has one for all: what one turn of the event loop resumes runs as one batch.
 */
export const sharedScheduler = (): Scheduler.Scheduler => {
  const runner = new Scheduler.SchedulerRunner((depth, drain) => {
    if (depth >= 2048) {
      setTimeout(() => drain(0), 0)
    } else {
      Promise.resolve().then(() => drain(depth + 1))
    }
  })
  return Scheduler.make((task, priority) => runner.scheduleTask(task, priority))
}
