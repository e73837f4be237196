/**
 * Runs programs for readers (the examples, the README's blocks) and compares what they print with what they say they
 * print. A program says so in comments at its end:
 *
 *     // prints:
 *     //   greeting: hello
 *     //   expires in … seconds
 *     //   …
 *
 * Every line of standard output has to be there, in order. `…` inside a line stands for any text; alone on a line it
 * stands for any number of lines. Log lines about connections that are lost and come back are left out. Nothing else is
 * special.
 */
import { spawn } from "node:child_process"
import * as path from "node:path"
import { tool } from "./tools.js"

const root = path.resolve(import.meta.dirname, "..")

/** The lines a program promises to print, or undefined if it promises nothing. */
export const promised = (source: string): ReadonlyArray<string> | undefined => {
  const [, block] = /^\/\/ prints:\n((?:\/\/.*(?:\n|$))*)\s*(?![\s\S])/m.exec(source.replaceAll("\r\n", "\n")) ?? []
  return block
    ?.trimEnd()
    .split("\n")
    .map((line) => line.replace(/^\/\/ {0,3}/, "").trimEnd())
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

const matches = (expected: string, actual: string) =>
  new RegExp(`^${expected.split("…").map(escaped).join(".*")}$`).test(actual)

/** The first place where `actual` is not what was promised, or undefined. */
export const mismatch = (expected: ReadonlyArray<string>, actual: ReadonlyArray<string>): string | undefined => {
  const at = (e: number, a: number): string | undefined => {
    const want = expected[e]
    const have = actual[a]
    if (want === undefined) return have === undefined ? undefined : `nothing more was promised, but it printed: ${have}`
    if (want === "…") {
      for (let skip = a; skip <= actual.length; skip++) {
        if (at(e + 1, skip) === undefined) return undefined
      }
      return `after "…" nothing fits: ${expected[e + 1]}`
    }
    if (have === undefined) return `it ended before: ${want}`
    return matches(want, have) ? at(e + 1, a + 1) : `line ${a + 1}\n  promised: ${want}\n  printed:  ${have}`
  }
  return at(0, 0)
}

const outage =
  /^(\[[\d:.]+\] (WARN|INFO) \(#\d+\): |timestamp=\S+ level=(WARN|INFO) .*message=")(The connection|A connection of a pool|The primaries of the cluster|The master )/

/** Without the log lines about lost connections and failovers, whose annotations may stand in lines of their own. */
const withoutOutages = (lines: ReadonlyArray<string>): ReadonlyArray<string> => {
  let inside = false
  return lines.filter((line) => {
    inside =
      outage.test(line) ||
      (inside && /^(?: {2}'?(?:server\.address|reason|connection|redis\.client\.name)'?: |\}$)/.test(line))
    return !inside
  })
}

export interface Ended {
  readonly lines: ReadonlyArray<string>
  /** Why it counts as failed, if it does. */
  readonly problem: string | undefined
}

/** Runs a TypeScript program against the sources. It has to end by itself, without an error. */
export const run = (file: string, env: Record<string, string>, limitMillis = 240_000): Promise<Ended> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [tool("tsx/dist/cli.mjs"), file], {
      cwd: root,
      env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0", ...env },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own: tsx starts another process, and neither may outlive the limit.
      detached: true
    })
    const out = { stdout: "", stderr: "" }
    child.stdout.setEncoding("utf8").on("data", (text) => (out.stdout += text))
    child.stderr.setEncoding("utf8").on("data", (text) => (out.stderr += text))
    let late = false
    const limit = setTimeout(() => {
      late = true
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
    }, limitMillis)
    const end = (why: string | undefined) => {
      clearTimeout(limit)
      const said = `${out.stdout}${out.stderr}`.trimEnd()
      const text = out.stdout.trimEnd()
      resolve({
        lines: text === "" ? [] : withoutOutages(text.split("\n").map((line) => line.trimEnd())),
        problem: why === undefined ? undefined : `${why}${said === "" ? "" : `\n${said}`}`
      })
    }
    child.on("error", (error) => end(String(error)))
    child.on("close", (code, signal) =>
      end(
        late ? `did not end within ${limitMillis / 1_000} s` : code === 0 ? undefined : `ended with ${code ?? signal}`
      )
    )
  })
