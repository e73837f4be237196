/**
 * Processes that are killed, stopped for longer than the time to live, and cut off, while their fibers count in one file under
 * one lock. `LOCK_PROCESSES=8 LOCK_FIBERS=50 LOCK_ROUNDS=20` is the long run.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Redis } from "effect-redis-client"
import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import { describeReal } from "../support/describeReal.js"
import { makeServer, realServers } from "../support/servers.js"
import { Counting } from "./fixtures/counting.js"
import { poll, processOf } from "./support.js"

const number = (name: string, fallback: number): number => Number(process.env[name] ?? fallback)
const processes = number("LOCK_PROCESSES", 3)
const fibers = number("LOCK_FIBERS", 4)
const rounds = number("LOCK_ROUNDS", 1)
const ttl = number("LOCK_TTL", 400)

const holder = path.join(path.dirname(fileURLToPath(import.meta.url)), "fixtures", "holder.ts")

interface Member {
  readonly proxy: FaultProxy.FaultProxy
  id: string
  child: ChildProcess
}

const ended = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

describeReal(
  (server) => {
    it.live(
      "a counter under one lock loses nothing while processes are killed, stopped and cut off",
      () =>
        Effect.gen(function* () {
          const folder = yield* Effect.acquireRelease(
            Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "lock-"))),
            (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
          )
          const redis = yield* makeServer(server)
          const { run } = yield* processOf(redis)
          const file = path.join(folder, "counter")
          const counting = new Counting(file)
          /** Those whose writes may be late: they were stopped. */
          const stopped = new Set<string>()
          let made = 0
          const start = (port: number): Pick<Member, "child" | "id"> => {
            const id = `p${++made}`
            const args = ["--import", "tsx", holder, String(port), file, id, String(fibers), String(ttl)]
            return { id, child: spawn(process.execPath, args, { stdio: ["pipe", "ignore", "inherit"] }) }
          }
          const members = yield* Effect.forEach(Array.from({ length: processes }), () =>
            Effect.gen(function* () {
              const proxy = yield* FaultProxy.make({ target: { host: redis.host, port: redis.port } })
              const member: Member = { proxy, ...start(proxy.port) }
              yield* Effect.addFinalizer(() => Effect.sync(() => member.child.kill("SIGKILL")))
              return member
            })
          )
          /** How often a process has counted. */
          const counted = (id: string) => counting.look().writes.filter((write) => write.id === id).length
          const counts = (member: Member) =>
            Effect.suspend(() => {
              const before = counted(member.id)
              return poll(
                `${member.id} counts`,
                Effect.sync(() => counted(member.id) > before)
              )
            })
          const faults = [
            (member: Member) =>
              Effect.sync(() => {
                member.child.kill("SIGKILL")
                Object.assign(member, start(member.proxy.port))
              }),
            (member: Member) =>
              Effect.gen(function* () {
                stopped.add(member.id)
                member.child.kill("SIGSTOP")
                yield* Effect.sleep(`${ttl * 1.5} millis`)
                member.child.kill("SIGCONT")
              }),
            (member: Member) =>
              Effect.gen(function* () {
                yield* member.proxy.inject(FaultProxy.blackHole)
                yield* Effect.sleep(`${ttl * 1.5} millis`)
                yield* member.proxy.heal
                yield* member.proxy.inject(FaultProxy.reset, { on: "live" })
              })
          ]
          yield* Effect.forEach(members, counts, { concurrency: "unbounded" })
          for (let round = 0; round < rounds; round++) {
            yield* Effect.forEach(
              members,
              (member, i) =>
                Effect.gen(function* () {
                  yield* (faults[(i + round) % faults.length] as (typeof faults)[number])(member)
                  yield* counts(member)
                }),
              { concurrency: "unbounded" }
            )
          }
          for (const { child } of members) {
            child.stdin?.end()
          }
          yield* poll(
            "all have ended",
            Effect.sync(() => members.every(({ child }) => ended(child)))
          )
          yield* poll("the lock is free", run(Effect.map(Redis.exists(["lock:{counter}"]), (n) => n === 0)))
          const { holders, late, writes } = counting.look()
          expect(writes.map(({ value }) => value)).toEqual(writes.map((_, i) => i + 1))
          expect([...holders.values()].filter((id) => id.includes("and"))).toEqual([])
          expect(late.filter(({ id }) => !stopped.has(id))).toEqual([])
          if (process.env.LOCK_ROUNDS !== undefined) {
            console.log(
              `${processes} processes of ${fibers} fibers, ${rounds} rounds: ${writes.length} counted, ${late.length} late and refused`
            )
          }
        }).pipe(Effect.scoped),
      600_000
    )
  },
  // One server says it: the processes are the same, and take seconds to start.
  realServers.slice(-1)
)
