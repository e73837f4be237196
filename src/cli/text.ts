/** The report as text: a line for each finding, and under it what to do. */
import { version } from "../internal/connection/version.js"
import { count, counted, type Report, type Status } from "./report.js"

const signs: Readonly<Record<Status, string>> = { ok: "✓", warning: "!", failure: "✗", unknown: "?" }

/** The longest name of a check. */
const column = "persistence".length

export const text = ({ findings, milliseconds, target, usable }: Report): string => {
  const lines = findings.flatMap(({ advice, check, message, status }) => [
    `${signs[status]} ${check.padEnd(column)}  ${message}`,
    ...(advice === undefined ? [] : [`  ${"".padEnd(column)}  → ${advice}`])
  ])
  const failures = count(findings, "failure")
  const warnings = count(findings, "warning")
  const counts = [
    ...(failures > 0 ? [counted(failures, "failure")] : []),
    ...(warnings > 0 ? [counted(warnings, "warning")] : [])
  ]
  const verdict = `${usable ? "usable" : "not usable"}${counts.length === 0 ? "" : `: ${counts.join(", ")}`}`
  return [
    `effect-redis-client doctor ${version}: ${target.address}${target.tls ? " over TLS" : ""}`,
    "",
    ...lines,
    "",
    `${verdict} (${(milliseconds / 1_000).toFixed(1)} s)`,
    ""
  ].join("\n")
}
