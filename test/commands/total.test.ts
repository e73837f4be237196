/**
 * Making a command never throws, also where an untyped program passes what the types exclude: the command fails when it
 * is run. Each call of test/support/samples.ts is made again with each of its arguments replaced.
 */
import { it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { afterAll, describe, expect, vi } from "vitest"
import type { RedisCommand } from "../../src/RedisCommand.js"
import { connectTo } from "../support/client.js"
import { defects } from "../support/effect.js"
import * as Peer from "../support/peer.js"

type Call = readonly [method: string, given: ReadonlyArray<unknown>]

const recorded = vi.hoisted((): Array<Call> => {
  // An earlier test file of this process may have loaded the modules without the recording.
  vi.resetModules()
  return []
})

vi.mock("../../src/Redis.js", async (original) => {
  const actual = await original<typeof import("../../src/Redis.js")>()
  const recording = new Proxy(actual.Redis, {
    get: (target, method: string) => {
      const make: unknown = Reflect.get(target, method)
      return typeof make !== "function"
        ? make
        : (...given: ReadonlyArray<unknown>) => {
            recorded.push([method, given])
            return make(...given)
          }
    }
  })
  return { ...actual, Redis: recording }
})

const { Redis } = await vi.importActual<typeof import("../../src/Redis.js")>("../../src/Redis.js")
const { samples } = await import("../support/samples.js")
const calls = [...recorded]

afterAll(() => {
  vi.resetModules()
})

const make = (method: string, given: ReadonlyArray<unknown>): RedisCommand<unknown> =>
  (Redis as unknown as Record<string, (...given: ReadonlyArray<unknown>) => RedisCommand<unknown>>)[method]?.(
    ...given
  ) as RedisCommand<unknown>

const wrong: ReadonlyArray<unknown> = [null, undefined, 5, {}, []]

/** The calls with one argument replaced, one added, and the last ones left out. */
const wrongCalls = (): ReadonlyArray<Call> =>
  calls.flatMap(([method, given]) => [
    ...given.map((_, i): Call => [method, given.slice(0, i)]),
    ...wrong.flatMap((value) =>
      Array.from(
        { length: given.length + 1 },
        (_, i): Call => [method, [...given.slice(0, i), value, ...given.slice(i + 1)]]
      )
    )
  ])

const shown = ([method, given]: Call): string => `${method}(${given.map((value) => JSON.stringify(value)).join(", ")})`

describe("commands of an untyped program", () => {
  it("never throw when they are made", () => {
    expect(calls).toHaveLength(samples.length)
    const thrown = wrongCalls().filter((call) => {
      try {
        return make(...call) === undefined
      } catch {
        return true
      }
    })
    expect(thrown.map(shown)).toEqual([])
  })

  it.live("are sent or fail typed when they are run", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { run } = yield* connectTo({ onCommand: Peer.greeting(() => "-ERR no\r\n") })
        const died = yield* Effect.forEach(
          wrongCalls(),
          (call) =>
            Effect.map(Effect.exit(run(make(...call))), (exit) =>
              Exit.isFailure(exit) && defects(exit.cause).length > 0
                ? [`${shown(call)}: ${Cause.pretty(exit.cause)}`]
                : []
            ),
          { concurrency: 50 }
        )
        expect(died.flat()).toEqual([])
      })
    )
  )

  it("of a stream's producer neither: it fails as XADD", () => {
    const command = Redis.stream.add("s", undefined as never)
    expect([command.name, command.problem?._tag]).toEqual(["XADD", "UsageError"])
  })

  it("name the command that cannot be made", () => {
    expect(make("set", ["k", "v", null]).problem?.message).toMatch(/^SET: /)
    expect(make("clientNoEvict", [null]).problem?.message).toMatch(/^CLIENT NO-EVICT: /)
    expect(make("clusterMigration", []).problem?.message).toBe(
      "CLUSTER MIGRATION: an argument is missing, or is not of its type"
    )
  })
})
