/**
 * Four processes that take as fast as they can, together: never more than the bound, in any window. MONITOR shows each take that
 * was allowed, because a denial writes nothing; and what a take writes holds the server's time at which it was decided.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as FileSystem from "node:fs"
import * as Net from "node:net"
import * as OS from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { buildSync } from "esbuild"
import { expect } from "vitest"
import { describeReal } from "../support/describeReal.js"
import { eventually } from "../support/peer.js"
import { makeServer } from "../support/servers.js"
import { burst, limit, limiters, subject, window } from "./shared.js"

const here = Path.dirname(fileURLToPath(import.meta.url))

/** The program of the processes as one file: four of them that translate and load every module by itself would take long. */
const program = Effect.acquireRelease(
  Effect.sync(() => {
    const folder = FileSystem.mkdtempSync(Path.join(OS.tmpdir(), "takers-"))
    const file = Path.join(folder, "taker.mjs")
    buildSync({
      entryPoints: [Path.join(here, "taker.ts")],
      outfile: file,
      bundle: true,
      platform: "node",
      format: "esm",
      logLevel: "error"
    })
    return { folder, file }
  }),
  ({ folder }) => Effect.sync(() => FileSystem.rmSync(folder, { recursive: true, force: true }))
)

interface Taken {
  /** The server's time, in microseconds. */
  readonly time: number
  /** When its window ends, where that is fixed. */
  readonly ends: number
}

/** A word of MONITOR's, which writes some bytes as `\x..` and others with a letter. */
const bytesOf = (word: string): Buffer =>
  Buffer.from(
    word.replace(/\\(?:x(..)|(.))/g, (_, hex: string | undefined, letter: string) =>
      hex === undefined
        ? ({ n: "\n", r: "\r", t: "\t", a: "\x07", b: "\b" }[letter] ?? letter)
        : String.fromCharCode(Number.parseInt(hex, 16))
    ),
    "latin1"
  )

/** What a line of MONITOR says that a limiter has written. */
const takenOf = (line: string): readonly [name: string, taken: Taken] | undefined => {
  const [, command, key = "", word = ""] = /\[\d+ lua\] "(\w+)" "([^"]*)" "((?:[^"\\]|\\.)*)"/.exec(line) ?? []
  const [name = ""] = key.split(`:{${subject}}:`)
  if (command === "SET") {
    const state = bytesOf(word)
    const doubles = Array.from({ length: state.length / 8 }, (_, i) => state.readDoubleBE(8 * i))
    return [
      name,
      { time: doubles[name === "fixed-window" ? 1 : doubles.length - 1] as number, ends: doubles[2] as number }
    ]
  }
  return command === "ZADD" && word !== "-1" ? [name, { time: Number(word), ends: 0 }] : undefined
}

/** The takes that MONITOR shows, by limiter, in order. */
const monitor = (port: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<{ readonly socket: Net.Socket; readonly taken: Map<string, Array<Taken>> }>((resume) => {
        const taken = new Map<string, Array<Taken>>(limiters.map(([name]) => [name, []]))
        const socket = Net.connect(port, "127.0.0.1", () => socket.write("MONITOR\r\n"))
        let rest = ""
        socket.on("data", (bytes) => {
          const lines = (rest + bytes.toString("latin1")).split("\r\n")
          rest = lines.pop() ?? ""
          for (const line of lines) {
            const [name, one] = takenOf(line) ?? []
            if (name !== undefined && one !== undefined) {
              taken.get(name)?.push(one)
            }
          }
          resume(Effect.succeed({ socket, taken }))
        })
      }),
      ({ socket }) => Effect.sync(() => socket.destroy())
    ),
    ({ taken }) => taken
  )

interface Child {
  readonly process: ChildProcess
  readonly output: () => string
}

const start = (file: string, port: number) =>
  Effect.acquireRelease(
    Effect.sync((): Child => {
      const child = spawn(process.execPath, [file, String(port), "8"], { stdio: "pipe" })
      let output = ""
      for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (bytes: Buffer) => {
          output += bytes.toString()
        })
      }
      return { process: child, output: () => output }
    }),
    ({ process }) =>
      Effect.sync(() => {
        process.kill("SIGKILL")
      })
  )

/** The most takes in any window that is open at one end. */
const mostIn = (times: ReadonlyArray<number>): number => {
  let most = 0
  let from = 0
  times.forEach((time, i) => {
    while (time - (times[from] as number) >= window) {
      from++
    }
    most = Math.max(most, i - from + 1)
  })
  return most
}

const mostPer = (groups: ReadonlyArray<number>): number => {
  const counts = new Map<number, number>()
  for (const group of groups) {
    counts.set(group, (counts.get(group) ?? 0) + 1)
  }
  return Math.max(...counts.values())
}

describeReal((server) => {
  it.scopedLive("four processes never take more than the bound, in any window of the server's time", () =>
    Effect.gen(function* () {
      const { port } = yield* makeServer(server)
      const { file } = yield* program
      const children: Array<Child> = []
      for (let i = 0; i < 4; i++) {
        children.push(yield* start(file, port))
      }
      yield* eventually("all processes are connected", () => children.every(({ output }) => output().includes("ready")))
      const taken = yield* monitor(port)
      // For as long as it takes to see some windows of each.
      yield* eventually("each limiter has allowed what four windows allow", () =>
        [...taken.values()].every((all) => all.length > 4 * limit)
      )
      for (const { process } of children) {
        process.stdin?.write("stop\n")
      }
      const isDone = ({ output }: Child) => output().includes("}\n")
      yield* eventually("all processes have ended", () => children.every(isDone))
      const reports = children.map(({ output }) => JSON.parse(/\{.*\}/.exec(output())?.[0] ?? ""))
      for (const [name] of limiters) {
        const all = taken.get(name) ?? []
        const times = all.map(({ time }) => time)
        const reported = reports.reduce((sum, report) => sum + report[name], 0)
        // MONITOR began when they had begun to take.
        expect([name, times.length <= reported && times.length > 4 * limit]).toEqual([name, true])
        expect([name, times]).toEqual([name, [...times].sort((a, b) => a - b)])
        switch (name) {
          case "gcra":
          case "token-bucket": {
            // A full bucket, and what has flown in between any two takes.
            let over = 0
            times.forEach((to, j) => {
              for (let i = 0; i <= j; i++) {
                if ((j - i + 1 - burst) * window > (to - (times[i] as number)) * limit) {
                  over++
                }
              }
            })
            expect([name, over]).toEqual([name, 0])
            break
          }
          case "sliding-log":
            expect([name, mostIn(times)]).toEqual([name, limit])
            break
          case "fixed-window":
            expect([name, mostPer(all.map(({ ends }) => ends))]).toEqual([name, limit])
            expect(mostIn(times)).toBeLessThanOrEqual(2 * limit)
            break
          case "sliding-window":
            expect(mostPer(times.map((time) => Math.floor(time / window)))).toBeLessThanOrEqual(limit)
            expect(mostIn(times)).toBeLessThan(2 * limit)
            break
        }
      }
    })
  )
})
