/** Commands of modules, which this package has no functions for: they are sent by their name. */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Redis, RedisCommand } from "effect-redis-client"
import * as RedisServer from "effect-redis-client/testing/RedisServer"
import { describeReal } from "../support/describeReal.js"
import { commandServers, serverOptions } from "../support/servers.js"

/** RediSearch, where a server has it beside itself. */
const moduleOf = (executable: string | undefined): string =>
  Path.join(Path.dirname(executable ?? ""), "root/usr/lib/redis/modules/redisearch.so")

describeReal(
  (server) => {
    it.scoped("an index of RediSearch 1.2 is made, filled and searched", () =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.make({
          ...serverOptions(server),
          config: { loadmodule: moduleOf(server.executable) }
        })
        const redis = yield* Redis.make({ host, port })
        const send = (name: string, ...args: ReadonlyArray<string>) =>
          redis.send(RedisCommand.make(name, { args: [...args] }))
        expect(yield* send("FT.CREATE", "idx", "SCHEMA", "title", "TEXT")).toBe("OK")
        expect(yield* send("FT.ADD", "idx", "doc1", "1.0", "FIELDS", "title", "a fox")).toBe("OK")
        expect(yield* send("FT.SEARCH", "idx", "fox")).toEqual([1, "doc1", ["title", "a fox"]])
      })
    )
  },
  commandServers.filter(({ executable }) => Fs.existsSync(moduleOf(executable)))
)
