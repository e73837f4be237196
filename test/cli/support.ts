/** Runs the doctor in this process, as text and as JSON, and looks at its findings. */
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { expect } from "vitest"
import { type Outcome, program } from "../../src/cli/program.js"
import type { Finding, Status } from "../../src/cli/report.js"
import type { Issued } from "../../src/testing/internal/certificates.js"
import type { RedisServer } from "../../src/testing/RedisServer.js"
import * as Peer from "../support/peer.js"

/** No output of any run in these tests may contain it. */
export const planted = "pl4nted-s3cret/p@ss"

export interface World {
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly stdin?: string | undefined
  readonly files?: Readonly<Record<string, string>> | undefined
}

export const runProgram = (
  args: ReadonlyArray<string>,
  { env = {}, files = {}, stdin }: World = {}
): Effect.Effect<Outcome> =>
  Effect.map(
    program({
      args,
      env,
      readFile: (path) => (files[path] === undefined ? Effect.fail("ENOENT") : Effect.succeed(files[path])),
      readStdin: stdin === undefined ? Effect.fail("EAGAIN") : Effect.succeed(stdin)
    }),
    (outcome) => {
      for (const output of [outcome.stdout, outcome.stderr]) {
        expect(output).not.toContain(planted)
        expect(output).not.toContain(encodeURIComponent(planted))
      }
      return outcome
    }
  )

export interface Document {
  readonly schema: number
  readonly doctor: string
  readonly target: { readonly address: string; readonly tls: boolean; readonly user: string | null }
  readonly usable: boolean
  readonly exitCode: number
  readonly failures: number
  readonly warnings: number
  readonly unknown: number
  readonly findings: ReadonlyArray<Finding & { readonly data: Readonly<Record<string, unknown>> }>
}

export interface Examined {
  readonly text: string
  readonly json: Document
  readonly exitCode: number
  readonly codes: ReadonlyArray<string>
}

const signs: Readonly<Record<Status, string>> = { ok: "✓", warning: "!", failure: "✗", unknown: "?" }

/** Examines a server twice, for the text and for the JSON, which must agree with each other and with the exit code. */
export const examine = (url: string, args: ReadonlyArray<string> = [], world: World = {}): Effect.Effect<Examined> =>
  Effect.gen(function* () {
    const all = ["doctor", url, "--pings", "3", ...args]
    const text = yield* runProgram(all, world)
    const asJson = yield* runProgram([...all, "--json"], world)
    const json: Document = JSON.parse(asJson.stdout)
    expect(json).toMatchObject({ schema: 1, exitCode: asJson.exitCode, usable: asJson.exitCode === 0 })
    expect(json.failures).toBe(json.findings.filter(({ status }) => status === "failure").length)
    expect(json.warnings).toBe(json.findings.filter(({ status }) => status === "warning").length)
    expect(text.exitCode).toBe(asJson.exitCode)
    const lines = text.stdout.split("\n")
    // Numbers of two runs differ, so the lines are compared by their sign and check.
    expect(lines.flatMap((line) => /^[✓!✗?] \S+/.exec(line) ?? [])).toEqual(
      json.findings.map(({ check, status }) => `${signs[status]} ${check}`)
    )
    expect(lines.at(-2)).toMatch(json.usable ? /^usable/ : /^not usable/)
    return { text: text.stdout, json, exitCode: text.exitCode, codes: json.findings.map(({ code }) => code) }
  })

/** One finding, in the JSON and as a line of the text. */
export const finding = ({ codes, json, text }: Examined, code: string): Document["findings"][number] => {
  const found = json.findings.find((finding) => finding.code === code)
  if (found === undefined) {
    throw new Error(`no finding ${code} among ${codes.join(", ")}\n${text}`)
  }
  const line = text.split("\n").find((line) => line.startsWith(`${signs[found.status]} ${found.check} `))
  expect(line).toBeDefined()
  if (found.status === "failure" && found.advice !== null) {
    expect(text).toContain(`→ ${found.advice}`)
  }
  return found
}

/** The only failure, with its message; the exit code is 1. */
export const fails = (examined: Examined, code: string, message: RegExp): Document["findings"][number] => {
  const failures = examined.json.findings.filter(({ status }) => status === "failure")
  expect(
    failures.map(({ code }) => code),
    examined.text
  ).toEqual([code])
  const found = finding(examined, code)
  expect(found.message).toMatch(message)
  expect(examined.text).toMatch(message)
  expect(examined.exitCode).toBe(1)
  return found
}

export const urlOf = ({ port }: { readonly port: number }, scheme = "redis"): string => `${scheme}://127.0.0.1:${port}`

/** The environment with a server's password. */
export const passwordOf = ({ password }: RedisServer): World => ({
  env: Option.match(password, {
    onNone: () => ({}),
    onSome: (password) => ({ REDIS_PASSWORD: Redacted.value(password) })
  })
})

/** A TCP server for the time of the scope. */
export const listening = (server: Net.Server): Effect.Effect<{ readonly port: number }, never, Scope.Scope> => {
  const sockets = new Set<Net.Socket>()
  server.on("connection", (socket: Net.Socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    socket.on("close", () => sockets.delete(socket))
  })
  return Effect.acquireRelease(
    Effect.async<{ readonly port: number }>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as Net.AddressInfo
        resume(Effect.succeed({ port }))
      })
    }),
    () =>
      Effect.async<void>((resume) => {
        for (const socket of sockets) {
          socket.destroy()
        }
        server.close(() => resume(Effect.void))
      })
  )
}

/** A scripted peer over TLS. */
export const tlsPeer = (issued: Pick<Issued, "cert" | "key">, script: Peer.Script = Peer.pong) =>
  Effect.gen(function* () {
    const behind = yield* Peer.make(script)
    const server = Tls.createServer({ cert: issued.cert, key: issued.key }, (socket) => {
      const plain = Net.connect(behind.port, "127.0.0.1")
      plain.on("error", () => socket.destroy())
      socket.on("error", () => plain.destroy())
      socket.pipe(plain).pipe(socket)
    })
    server.on("tlsClientError", () => {})
    const { port } = yield* listening(server)
    return { port, behind }
  })
