/** The measuring side: a process for each contestant, and rounds by turns. */
import { type ChildProcess, spawn } from "node:child_process"
import * as path from "node:path"
import { home } from "./build.js"
import { pins } from "./servers.js"
import type { Address, Answer, Assignment, Request, Round } from "./work.js"

export interface Entry {
  /** How it is called in the table. */
  readonly name: string
  /** Which contestant of contestants.ts it is. */
  readonly contestant: string
  /** The folder that it runs from. */
  readonly folder: string
  /** The server that it alone is measured against. */
  readonly server?: Place
}

interface Place extends Address {
  readonly nodes?: ReadonlyArray<Address> | undefined
}

/** The Node that contestants run on. */
export const runtime = { node: process.execPath, version: process.versions.node }

export class Contender {
  private waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined
  private readonly ended: Promise<void>

  private constructor(private readonly child: ChildProcess) {
    child.on("message", (answer: Answer) => {
      const { waiting } = this
      this.waiting = undefined
      answer.type === "failed" ? waiting?.reject(new Error(answer.message)) : waiting?.resolve(answer)
    })
    this.ended = new Promise((resolve) => {
      child.on("exit", (code, signal) => {
        this.waiting?.reject(new Error(`its process ended with ${signal ?? code}`))
        this.waiting = undefined
        resolve()
      })
    })
  }

  static start(folder: string, flags: ReadonlyArray<string>): Contender {
    const worker = [...flags, path.join(folder, "bench/worker.js")]
    // On one processor V8's four helpers get into the way of what they help: 0 has Node choose by the processors there are.
    const pinned =
      pins === undefined
        ? [runtime.node, ...worker]
        : ["taskset", "-c", pins.client, runtime.node, "--v8-pool-size=0", ...worker]
    return new Contender(
      spawn(pinned[0] as string, pinned.slice(1), { stdio: ["ignore", "inherit", "inherit", "ipc"] })
    )
  }

  ask<T extends Answer["type"]>(request: Request, type: T): Promise<Answer & { readonly type: T }> {
    return new Promise((resolve, reject) => {
      this.waiting = {
        resolve: (answer) =>
          answer.type === type
            ? resolve(answer as Answer & { readonly type: T })
            : reject(new Error(`answered ${answer.type} instead of ${type}`)),
        reject
      }
      this.child.send(request)
    })
  }

  async stop(): Promise<void> {
    if (this.child.connected) {
      this.child.send({ type: "stop" } satisfies Request)
    }
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 3_000)
    await this.ended
    clearTimeout(timer)
  }
}

export interface Settings {
  readonly rounds: number
  readonly millis: number
  readonly warmup: number
  readonly atMost: number
  readonly latency: boolean
  readonly delay: boolean
  readonly profile: string | undefined
}

/** The results of a contestant in each round, or why it took no part. */
export type Outcome =
  | { readonly entry: Entry; readonly rounds: ReadonlyArray<Round> }
  | { readonly entry: Entry; readonly failure: string }

/** A B C, A B C, …: whatever else the machine does hits all alike. */
export const compete = async (
  entries: ReadonlyArray<Entry>,
  assignment: Omit<Assignment, "contestant" | "home" | "host" | "port" | "nodes">,
  server: Place,
  settings: Settings
): Promise<ReadonlyArray<Outcome>> => {
  const taking: Array<{ entry: Entry; contender: Contender; rounds: Array<Round> }> = []
  const failures = new Map<Entry, string>()
  const attempt = async (entry: Entry, run: () => Promise<void>) => {
    try {
      await run()
      return true
    } catch (error) {
      failures.set(entry, error instanceof Error ? error.message : String(error))
      return false
    }
  }
  // All start at once: starting is not measured.
  await Promise.all(
    entries.map((entry) => {
      const contender = Contender.start(entry.folder, [])
      taking.push({ entry, contender, rounds: [] })
      const { host, nodes, port } = entry.server ?? server
      const { profile } = settings
      const whole: Assignment = { ...assignment, contestant: entry.contestant, host, port, nodes, home, profile }
      return attempt(entry, async () => {
        await contender.ask({ type: "prepare", assignment: whole }, "prepared")
      })
    })
  )
  try {
    const able = () => taking.filter(({ entry }) => !failures.has(entry))
    for (const { contender, entry } of able()) {
      await attempt(entry, async () => {
        await contender.ask({ type: "warm", millis: settings.warmup }, "warmed")
      })
    }
    const { atMost, delay, latency, millis } = settings
    for (let i = 0; i < settings.rounds; i++) {
      for (const { contender, entry, rounds } of able()) {
        await attempt(entry, async () => {
          const { round } = await contender.ask({ type: "round", millis, atMost, latency, delay }, "round")
          rounds.push(round)
        })
      }
    }
  } finally {
    await Promise.all(taking.map(({ contender }) => contender.stop()))
  }
  return taking.map(({ entry, rounds }) => {
    const failure = failures.get(entry)
    return failure === undefined ? { entry, rounds } : { entry, failure }
  })
}

/** One contestant by itself, asked for figures. */
export const measureOnce = async (
  entry: Entry,
  { concurrency, work }: Pick<Assignment, "concurrency" | "work">,
  server: Place,
  request: Request & { readonly type: "memory" | "soak" | "clients" }
): Promise<Readonly<Record<string, number | string>>> => {
  const contender = Contender.start(entry.folder, ["--expose-gc"])
  try {
    const { host, nodes, port } = entry.server ?? server
    const assignment = { contestant: entry.contestant, concurrency, work, host, port, nodes, home }
    await contender.ask({ type: "prepare", assignment }, "prepared")
    return (await contender.ask(request, "figures")).figures
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) }
  } finally {
    await contender.stop()
  }
}
