/**
 * What the doctor found, as plain data. Text and JSON are made of it (text.ts, json.ts).
 */
import type { Check, Target } from "./settings.js"

/**
 * How a finding is: fine (`ok`), in the way of the program sooner or later (`warning`), the reason why the server cannot be
 * used (`failure`), or not found out because the server did not answer the question (`unknown`).
 */
export type Status = "ok" | "warning" | "failure" | "unknown"

/** What JSON can hold. */
export type Data = string | number | boolean | null | ReadonlyArray<Data> | { readonly [name: string]: Data }

export interface Finding {
  readonly check: Check
  /** The name of what was found, for programs. It stays the same when the message is reworded. */
  readonly code: string
  readonly status: Status
  /** One sentence for a person. */
  readonly message: string
  /** What to do about it. */
  readonly advice?: string | undefined
  /** The numbers and names behind the message. */
  readonly data?: { readonly [name: string]: Data } | undefined
}

export interface Report {
  readonly target: Target
  readonly startedAt: Date
  readonly milliseconds: number
  readonly findings: ReadonlyArray<Finding>
  /** Whether nothing is in the way of using the server: no failure, and under `--strict` no warning. */
  readonly usable: boolean
}

type More = Pick<Finding, "advice" | "data">

export const ok = (check: Check, code: string, message: string, data?: More["data"]): Finding => ({
  check,
  code,
  status: "ok",
  message,
  data
})

export const warning = (check: Check, code: string, message: string, more: More = {}): Finding => ({
  check,
  code,
  status: "warning",
  message,
  ...more
})

export const failure = (check: Check, code: string, message: string, more: More = {}): Finding => ({
  check,
  code,
  status: "failure",
  message,
  ...more
})

export const unknown = (check: Check, code: string, message: string, more: More = {}): Finding => ({
  check,
  code,
  status: "unknown",
  message,
  ...more
})

export const count = (findings: ReadonlyArray<Finding>, status: Status): number =>
  findings.filter((finding) => finding.status === status).length

export const hasFailed = (findings: ReadonlyArray<Finding>): boolean => count(findings, "failure") > 0

/** `1 warning`, `2 warnings`. */
export const counted = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`

/** Milliseconds for a reader: three significant digits. */
export const ms = (milliseconds: number): string => `${Number(milliseconds.toPrecision(3))} ms`

/** Bytes for a reader. */
export const bytes = (n: number): string => {
  const units = ["B", "KB", "MB", "GB", "TB"]
  let value = n
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${Number(value.toPrecision(3))} ${units[unit]}`
}
