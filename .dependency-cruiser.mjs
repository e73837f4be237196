/*
 * `npm run check:rooms`: which room of the sources may import which. A type-only import counts like any other.
 *
 * A room is a folder or a file of `src`. To add one, write it on its floor: that is all.
 */

/** The floors, the lowest first. A room imports itself and rooms on lower floors, and nothing beside it or above it. */
export const floors = [
  ["internal/resp"],
  ["internal/engine"],
  ["internal/effect"],
  ["RedisError.ts", "Codec.ts"],
  ["internal/command"],
  ["internal/telemetry"],
  ["internal/request"],
  ["internal/connection"],
  ["internal/pool"],
  ["internal/pubsub", "internal/script"],
  ["commands"],
  ["internal/client"],
  ["internal/nodes"],
  ["internal/stream", "internal/cluster", "internal/sentinel"],
  ["Resp.ts", "RedisCommand.ts", "RedisHash.ts", "RedisPubSub.ts", "RedisScript.ts"],
  ["Connection.ts", "RedisFunction.ts", "RedisStream.ts", "internal/lock", "internal/limiter"],
  ["Pool.ts", "RedisLock.ts", "RedisSemaphore.ts", "RedisRateLimiter.ts"],
  ["Redis.ts", "RedisCluster.ts", "RedisSentinel.ts"],
  ["index.ts"],
  ["internal/adapter"],
  ["internal/keyValueStore", "internal/persistence", "internal/rateLimiterStore", "internal/persistedQueue"],
  ["KeyValueStore.ts", "Persistence.ts", "RateLimiterStore.ts", "PersistedQueue.ts"],
  ["testing"],
  ["cli"]
]

/** Rooms that import less than their floor allows. */
const narrower = {
  commands: ["internal/resp", "RedisError.ts", "Codec.ts", "internal/command"]
}

/** What a room matches: `Codec.ts` is a file, `internal/resp` is a folder with everything in it. */
export const pathOf = (room) => `^src/${room.endsWith(".ts") ? `${room.replace(".", "\\.")}$` : `${room}/`}`

const floorRules = floors.flatMap((rooms, floor) =>
  rooms.map((room) => {
    const lower = narrower[room] ?? floors.slice(0, floor).flat()
    return {
      name: `floor of ${room}`,
      comment:
        `${room} may import ${lower.length === 0 ? "no other room" : `only ${lower.join(", ")}`}. ` +
        "Move the code that both rooms need to the lower room, or pass it in as an argument. " +
        "The order of the floors is in .dependency-cruiser.mjs.",
      severity: "error",
      from: { path: pathOf(room) },
      to: { path: "^src/", pathNot: [room, ...lower].map(pathOf) }
    }
  })
)

export const options = {
  // Type-only imports, too.
  tsPreCompilationDeps: true,
  tsConfig: { fileName: "tsconfig.json" },
  doNotFollow: { path: "node_modules" },
  enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "types", "default"] }
}

export default {
  forbidden: [
    {
      name: "no circles",
      comment:
        "These modules import each other, even if only for types. " +
        "Move the code that they share to a module of its own, which imports neither of them.",
      severity: "error",
      from: { path: "^src/" },
      to: { circular: true }
    },
    {
      name: "no packages in the codec and the engine",
      comment:
        "The codec (internal/resp) and the engine (internal/engine) import no package, so no Effect either, not even " +
        "its types. Take a plain callback or a plain value, and let a room above make an Effect of it.",
      severity: "error",
      from: { path: ["internal/resp", "internal/engine"].map(pathOf) },
      to: { pathNot: "^src/" }
    },
    {
      name: "node: only in the Node transport",
      comment:
        "Only the Node transport (internal/connection/node*.ts, internal/node/), src/testing and src/cli import node: " +
        "modules, so that everything else also runs elsewhere. Take what you need from a transport, as an argument.",
      severity: "error",
      from: {
        path: "^src/",
        pathNot: ["^src/internal/connection/node[^/]*\\.ts$", "^src/internal/node/", "^src/testing/", "^src/cli/"]
      },
      to: { dependencyTypes: ["core"] }
    },
    {
      name: "a room has a floor",
      comment:
        "Write the room of this module on its floor in .dependency-cruiser.mjs: only rooms with a floor are checked.",
      severity: "error",
      from: { path: "^src/", pathNot: floors.flat().map(pathOf) },
      to: {}
    },
    ...floorRules
  ],
  options
}
