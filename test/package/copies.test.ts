/** Both formats of the built package in one process, as when one library imports it and another requires it. */
import { execFile } from "node:child_process"
import * as path from "node:path"
import { promisify } from "node:util"
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { beforeAll } from "vitest"
import { type Packed, packed } from "../../scripts/packed.js"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { describeReal } from "../support/describeReal.js"
import { serverLayer } from "../support/servers.js"

const program = path.join(import.meta.dirname, "copies.mjs")

describeReal((server) => {
  let made: Packed
  beforeAll(async () => {
    made = await packed()
  }, 300_000)

  layer(serverLayer(server), { excludeTestServices: true })((it) => {
    it.effect(
      "the client of one format runs the commands, batches, scripts and Streams of the other",
      () =>
        Effect.gen(function* () {
          const { port } = yield* RedisServer.RedisServer
          const output = yield* Effect.promise(
            (): Promise<string> =>
              promisify(execFile)(process.execPath, [program, made.home, String(port)]).then(
                ({ stderr, stdout }) => stdout + stderr,
                ({ stderr, stdout }) => stdout + stderr
              )
          )
          // The program kills connections, which the log reports.
          const lines = output.split("\n").filter((line) => line !== "" && !line.startsWith("timestamp="))
          expect(lines.filter((line) => !line.endsWith(": ok"))).toEqual([])
          expect(lines.length).toBe(56)
        }),
      120_000
    )
  })
})
