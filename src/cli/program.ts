/** The whole command, apart from its process: words in, text and an exit code out. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import { version } from "../internal/connection/version.js"
import { type Host, read, usage } from "./arguments.js"
import { examine } from "./doctor.js"
import { json } from "./json.js"
import type { Data, Report } from "./report.js"
import { text } from "./text.js"

export interface Outcome {
  readonly exitCode: 0 | 1 | 2
  readonly stdout: string
  readonly stderr: string
}

/**
 * Nothing puts a password into a message. Should a server repeat it in words of its own, it is taken out here. Codes are the
 * doctor's own words, and a password may be one of them. Shorter secrets are parts of ordinary words.
 */
const without = (secrets: ReadonlyArray<Redacted.Redacted<string>>, report: Report): Report => {
  const hidden = secrets
    .map(Redacted.value)
    .filter(({ length }) => length >= 4)
    .flatMap((secret) => [secret, encodeURIComponent(secret)])
  const clean = (data: Data): Data =>
    typeof data === "string"
      ? hidden.reduce((text, secret) => text.replaceAll(secret, "<redacted>"), data)
      : Array.isArray(data)
        ? data.map(clean)
        : typeof data === "object" && data !== null
          ? cleanAll(data as { readonly [name: string]: Data })
          : data
  const cleanAll = (data: { readonly [name: string]: Data }): { readonly [name: string]: Data } =>
    Object.fromEntries(Object.entries(data).map(([name, value]) => [name, clean(value)]))
  return {
    ...report,
    findings: report.findings.map((finding) => ({
      ...finding,
      message: String(clean(finding.message)),
      data: finding.data === undefined ? undefined : cleanAll(finding.data)
    }))
  }
}

export const program: (host: Host) => Effect.Effect<Outcome> = Effect.fnUntraced(function* (host: Host) {
  const asked = yield* Effect.either(read(host))
  if (Either.isLeft(asked)) {
    return { exitCode: 2, stdout: "", stderr: `${asked.left}\n\n${usage}` }
  }
  const wanted = asked.right
  switch (wanted._tag) {
    case "Help":
      return { exitCode: 0, stdout: usage, stderr: "" }
    case "Version":
      return { exitCode: 0, stdout: `${version}\n`, stderr: "" }
    case "Doctor": {
      const { notes, settings } = wanted
      const report = without(settings.secrets, yield* examine(settings))
      const exitCode = report.usable ? 0 : 1
      return {
        exitCode,
        stdout: settings.json ? json(report, exitCode) : text(report),
        stderr: notes.map((note) => `${note}\n`).join("")
      }
    }
  }
})
