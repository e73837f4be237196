/**
 * One contestant's process. It is told what to prepare, and then to run rounds, one at a time.
 */
import * as fs from "node:fs"
import * as inspector from "node:inspector"
import * as Net from "node:net"
import * as path from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { contestants } from "./contestants.js"
import { Traffic } from "./traffic.js"
import { type Answer, type Assignment, Meter, type Request, type Round, type Runner } from "./work.js"

const answer = (message: Answer): void => {
  process.send?.(message)
}

let runner: Runner | undefined
let traffic: Traffic | undefined
let pause: ((millis: number) => Promise<void>) | undefined
let profile: (() => void) | undefined
let profiling: string | undefined
let concurrency = 1
/** Operations per millisecond of processor time, as last seen. */
let rate = 0

/** Makes the server answer no client for a while. */
const pausing = ({ host, port }: Assignment, millis: number): Promise<void> =>
  new Promise((resolve) => {
    const socket = Net.connect({ host, port }, () => socket.write(`CLIENT PAUSE ${millis} ALL\r\n`))
    socket.once("data", () => {
      socket.destroy()
      resolve()
    })
  })

const prepare = async (assignment: Assignment): Promise<void> => {
  concurrency = assignment.concurrency
  profiling = assignment.profile === undefined ? undefined : path.join(assignment.profile, assignment.contestant)
  const { contestant, work } = assignment
  const made =
    work.op === "cluster"
      ? // Sources of before the client of clusters can be measured by the other rows.
        await (await import("./cluster/contestants.js")).contestants[contestant]?.make(assignment, work)
      : await contestants[contestant]?.make(assignment, work)
  if (made === undefined) {
    throw new Error("has no such thing")
  }
  runner = made
  pause = (millis) => pausing(assignment, millis)
  await made.once()
}

const measured = async (
  runner: Runner,
  counted: number,
  samples?: Float64Array,
  atOnce: number = concurrency
): Promise<Round> => {
  const meter = new Meter(atOnce, counted)
  await runner.run(atOnce, meter, samples)
  const { cpuMillis, millis } = meter.read()
  rate = counted / Math.max(cpuMillis, 0.01)
  return { operations: counted, millis, cpuMillis }
}

/**
 * A hundred for each fiber or loop, where that is no more than so many times what was asked for: making a thousand fibers,
 * and what the collector moves for them, is a third of a round even so, and was more (docs/performance.md).
 */
const operationsFor = (millis: number, atMost: number): number => {
  const asked = rate * millis
  return Math.round(Math.max(asked, concurrency * 4, Math.min(concurrency * 100, asked * atMost)))
}

/**
 * In processor time: on a busy machine half a second by the clock is so little of it that nothing is compiled yet, and
 * what has more code to compile looks far slower than it is. And at one at a time before as many as the row has, as load
 * rises on a server: V8 decides by the first few collections which allocations go among the old objects, for good, and a
 * process whose first act is a thousand fibers at once gets that wrong (docs/performance.md).
 */
const warm = async (runner: Runner, millis: number): Promise<void> => {
  for (const atOnce of concurrency === 1 ? [1] : [1, concurrency]) {
    const enough = atOnce === concurrency ? millis : millis / 3
    let used = 0
    let counted = atOnce * 2
    do {
      used += (await measured(runner, counted, undefined, atOnce)).cpuMillis
      counted = Math.max(counted, Math.min(counted * 4, Math.max(Math.round((rate * enough) / 4), atOnce * 4)))
    } while (used < enough)
  }
}

const quantile = (sorted: Float64Array, at: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))] ?? Number.NaN

const round = async (runner: Runner, request: Request & { readonly type: "round" }): Promise<Round> => {
  const delay = request.delay ? monitorEventLoopDelay({ resolution: 1 }) : undefined
  delay?.enable()
  const plain = await measured(runner, operationsFor(request.millis, request.atMost))
  delay?.disable()
  let result = plain
  if (delay !== undefined) {
    const millis = (nanos: number) => nanos / 1e6
    result = {
      ...result,
      delayP50: millis(delay.percentile(50)),
      delayP99: millis(delay.percentile(99)),
      delayMax: millis(delay.max)
    }
  }
  if (request.latency) {
    const counted = operationsFor(request.millis / 3, request.atMost)
    const samples = new Float64Array(counted + concurrency)
    await measured(runner, counted, samples)
    samples.sort()
    result = { ...result, p50: quantile(samples, 0.5), p99: quantile(samples, 0.99) }
  }
  return result
}

/** Profiles the rounds alone: neither starting nor warming up. */
const startProfile = async (file: string): Promise<() => void> => {
  const session = new inspector.Session()
  session.connect()
  const post = (method: string, parameters?: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      session.post(method, parameters, (error, result) => (error === null ? resolve(result) : reject(error)))
    })
  await post("Profiler.enable")
  await post("Profiler.setSamplingInterval", { interval: 200 })
  await post("Profiler.start")
  return () => {
    // The session answers in the same turn.
    session.post("Profiler.stop", (error, { profile }) => {
      if (error === null) {
        fs.mkdirSync(path.dirname(file), { recursive: true })
        fs.writeFileSync(file, JSON.stringify(profile))
      }
    })
  }
}

const collect = (globalThis as { readonly gc?: () => void }).gc ?? (() => {})

const held = (): number => {
  collect()
  collect()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const sleep = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

/** The server was told to pause for some seconds; the commands wait, and are answered in the end. */
const memory = async (runner: Runner, commands: number): Promise<Readonly<Record<string, number>>> => {
  // Arrays that grow do so before.
  const meter = () => new Meter(1, commands - 1)
  await runner.run(commands, meter(), undefined)
  await pause?.(2_500)
  const before = held()
  const all = runner.run(commands, meter(), undefined)
  await sleep(1_000)
  const during = held()
  await all
  return { bytesPerCommand: (during - before) / commands }
}

/** In the engine's heap and outside of it, and all of the process: what native code holds is only in the latter. */
const clients = async (
  runner: Runner,
  count: number,
  keys: ReadonlyArray<string>
): Promise<Readonly<Record<string, number>>> => {
  const open = async () => {
    const client = await runner.cluster?.another()
    if (client === undefined) {
      throw new Error("has no such thing")
    }
    for (const key of keys) {
      await client.get(key)
    }
    return client
  }
  await (await open()).close()
  const before = held()
  const { rss } = process.memoryUsage()
  const opened = []
  for (let i = 0; i < count; i++) {
    opened.push(await open())
  }
  const heapBytes = (held() - before) / count
  const rssBytes = (process.memoryUsage().rss - rss) / count
  await Promise.all(opened.map((client) => client.close()))
  return { heapBytes, rssBytes }
}

const soak = async (runner: Runner, operations: number): Promise<Readonly<Record<string, number>>> => {
  const part = operations / 10
  await measured(runner, part / 10)
  const before = held()
  const rss = process.memoryUsage().rss
  let most = 0
  const started = performance.now()
  for (let i = 0; i < 10; i++) {
    await measured(runner, part)
    most = Math.max(most, held())
  }
  return {
    operations,
    seconds: (performance.now() - started) / 1000,
    heldBefore: before,
    heldMost: most,
    heldAfter: held(),
    rssBefore: rss,
    rssAfter: process.memoryUsage().rss
  }
}

const handle = async (request: Request): Promise<void> => {
  if (request.type === "prepare") {
    await prepare(request.assignment)
    return answer({ type: "prepared" })
  }
  if (runner === undefined) {
    throw new Error("nothing was prepared")
  }
  switch (request.type) {
    case "warm":
      await warm(runner, request.millis)
      if (profiling !== undefined) {
        profile = await startProfile(`${profiling}-${process.pid}.cpuprofile`)
      }
      return answer({ type: "warmed" })
    case "round":
      return answer({ type: "round", round: await round(runner, request) })
    case "memory":
      return answer({ type: "figures", figures: await memory(runner, request.commands) })
    case "clients":
      return answer({ type: "figures", figures: await clients(runner, request.clients, request.keys) })
    case "traffic":
      traffic = new Traffic(runner, request.groups)
      return answer({ type: "flowing" })
    case "phase":
      traffic?.enter(request.phase)
      return answer({ type: "flowing" })
    case "halt":
      return answer({ type: "figures", figures: (await traffic?.halt()) ?? {} })
    case "soak":
      return answer({ type: "figures", figures: await soak(runner, request.operations) })
    case "stop":
      profile?.()
      await runner.close()
      process.disconnect()
  }
}

process.on("message", (request: Request) => {
  handle(request).catch((error: unknown) => {
    answer({ type: "failed", message: error instanceof Error ? error.message : String(error) })
  })
})
// The parent process has ended.
process.on("disconnect", () => process.exit())
