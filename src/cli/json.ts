/** The report as one JSON document. Its shape is documented in docs/doctor.md; a change that breaks readers raises `schema`. */
import { version } from "../internal/connection/version.js"
import { count, type Report } from "./report.js"

export const json = ({ findings, milliseconds, startedAt, target, usable }: Report, exitCode: number): string =>
  `${JSON.stringify(
    {
      schema: 1,
      doctor: version,
      target,
      startedAt: startedAt.toISOString(),
      milliseconds: Math.round(milliseconds),
      usable,
      exitCode,
      failures: count(findings, "failure"),
      warnings: count(findings, "warning"),
      unknown: count(findings, "unknown"),
      findings: findings.map(({ advice, check, code, data, message, status }) => ({
        check,
        code,
        status,
        message,
        advice: advice ?? null,
        data: data ?? {}
      }))
    },
    undefined,
    2
  )}\n`
