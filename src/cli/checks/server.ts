/** Which server it is, what it has room for, and how it keeps its data: all of it from INFO. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { visible } from "../../internal/resp/visible.js"
import { Redis } from "../../Redis.js"
import type { RedisError } from "../../RedisError.js"
import { number, type Patient, tried, withInfo } from "../patient.js"
import { bytes, counted, type Finding, failure, ok, unknown, warning } from "../report.js"

type Findings = Effect.Effect<ReadonlyArray<Finding>, RedisError>

/** The oldest release of each product that the library is tested on in full. */
const oldest = { redis: 7, valkey: 7 } as const

export const checkServer = ({ connection, info, mode }: Patient): Findings => {
  if (info !== undefined) {
    const product = Option.getOrUndefined(info.product)
    const version = Option.getOrUndefined(info.version)
    return Effect.succeed([about(product, version, mode)])
  }
  return Effect.map(tried(connection.execute(Redis.hello())), (answer) => [
    ...(Either.isRight(answer)
      ? [about(Option.getOrUndefined(answer.right.server), Option.getOrUndefined(answer.right.version), mode)]
      : []),
    unknown(
      "server",
      "info-denied",
      "INFO is refused, so replication, memory, clients and persistence are not looked at",
      {
        advice: "ACL SETUSER … +info lets the doctor see them. Programs do not need it.",
        data: { command: "INFO" }
      }
    )
  ])
}

const about = (product: string | undefined, version: string | undefined, mode: string): Finding => {
  if (product === undefined || version === undefined) {
    return unknown("server", "server-unknown", "the server does not say which product and version it is", {
      data: { product: product ?? null, version: version ?? null, mode }
    })
  }
  const data = { product: visible(product), version: visible(version), mode }
  const name = `${product === "redis" ? "Redis" : product === "valkey" ? "Valkey" : visible(product)} ${data.version}`
  const least = product === "redis" || product === "valkey" ? oldest[product] : undefined
  return least !== undefined && Number.parseInt(version, 10) < least
    ? warning("server", "server-old", `${name}, ${mode}`, {
        advice:
          "The library is tested on Redis 7.0 and later; older servers lack commands and permissions. Upgrade it.",
        data
      })
    : ok("server", "server-known", `${name}, ${mode}`, data)
}

export const checkModules: (patient: Patient) => Findings = Effect.fnUntraced(function* ({
  connection,
  info
}: Patient) {
  // INFO of older servers names no modules, and neither does it when there are none.
  const answer = yield* tried(connection.execute(Redis.moduleList()))
  if (Either.isLeft(answer) && info?.sections.modules === undefined) {
    return yield* Effect.fail(answer.left)
  }
  const modules = Either.isRight(answer)
    ? answer.right.map(({ name, ver }) => ({ name: visible(name), version: Option.getOrNull(ver) }))
    : (info?.modules ?? []).map(({ name, ver }) => ({
        name: visible(name ?? ""),
        version: ver === undefined ? null : Number(ver)
      }))
  const names = modules.map(({ name, version }) => (version === null ? name : `${name} ${version}`))
  return [
    ok("modules", "modules-listed", names.length === 0 ? "no modules" : names.join(", "), {
      modules: modules.map(({ name, version }) => ({ name, version }))
    })
  ]
})

/** A server that is this full is worth a warning. */
const full = 0.9

export const checkMemory = (patient: Patient): Findings =>
  Effect.succeed(
    withInfo(patient, (fields) => {
      const used = number(patient, "used_memory")
      const maximum = number(patient, "maxmemory")
      const policy = fields.maxmemory_policy
      if (used === undefined) {
        return [unknown("memory", "memory-unknown", "the server does not say how much memory it uses")]
      }
      const data = { used, maximum: maximum ?? null, policy: policy === undefined ? null : visible(policy) }
      if (maximum === undefined || maximum === 0) {
        return [ok("memory", "memory-unlimited", `${bytes(used)} used, without a limit of its own (maxmemory)`, data)]
      }
      const share = used / maximum
      const what = `${bytes(used)} of ${bytes(maximum)} used (${Math.round(share * 100)} %), policy ${data.policy ?? "unknown"}`
      return [
        share < full
          ? ok("memory", "memory-used", what, data)
          : warning("memory", "memory-full", what, {
              advice:
                policy === "noeviction"
                  ? "When it is full, writes fail with OOM: raise maxmemory, or delete keys."
                  : "When it is full, keys are evicted: raise maxmemory, unless it is a cache.",
              data
            }),
        ...eviction(patient, data.policy ?? "", data)
      ]
    })
  )

/** Streams are lost under policies that evict any key; locks, which expire, also under those that evict keys with an expiry. */
const eviction = (
  { settings: { features } }: Patient,
  policy: string,
  data: NonNullable<Finding["data"]>
): ReadonlyArray<Finding> => {
  const lost = [
    ...(features.has("streams") && policy.startsWith("allkeys-") ? ["streams"] : []),
    ...(features.has("locks") && /^(?:allkeys|volatile)-/.test(policy) ? ["locks"] : [])
  ]
  return lost.length === 0
    ? []
    : [
        warning("memory", "eviction", `the policy ${policy} may evict ${lost.join(" and ")} when memory is full`, {
          advice: "Use a server with maxmemory-policy noeviction for them, apart from the cache.",
          data: { ...data, lost }
        })
      ]
}

export const checkClients = (patient: Patient): Findings =>
  Effect.succeed(
    withInfo(patient, () => {
      const connected = number(patient, "connected_clients")
      const maximum = number(patient, "maxclients")
      if (connected === undefined) {
        return []
      }
      const data = { connected, maximum: maximum ?? null }
      const what = `${counted(connected, "connection")}${maximum === undefined ? "" : ` of at most ${maximum}`}`
      return [
        maximum === undefined || connected < maximum * full
          ? ok("clients", "clients-connected", what, data)
          : warning("clients", "clients-full", what, {
              advice: "Further clients are refused soon: raise maxclients, or find out who has so many (CLIENT LIST).",
              data
            })
      ]
    })
  )

export const checkPersistence: (patient: Patient) => Findings = Effect.fnUntraced(function* (patient: Patient) {
  const { connection, info, settings } = patient
  if (info?.sections.persistence === undefined) {
    return []
  }
  const { fields } = info
  if (fields.loading === "1") {
    const eta = number(patient, "loading_eta_seconds")
    return [
      failure("persistence", "loading", "the server loads its data set from disk and accepts no commands", {
        advice: eta === undefined ? "Wait, and try again." : `Wait; it expects to need ${eta} seconds more.`,
        data: { secondsLeft: eta ?? null }
      })
    ]
  }
  const aof = fields.aof_enabled === "1"
  const configured = yield* tried(connection.execute(Redis.configGet("save")))
  const save = Either.isRight(configured) ? configured.right.save : undefined
  const snapshots = save === undefined ? null : save !== ""
  const changes = number(patient, "rdb_changes_since_last_save")
  const data = {
    appendOnly: aof,
    snapshots,
    changesSinceSnapshot: changes ?? null,
    lastSnapshot: fields.rdb_last_bgsave_status ?? null,
    lastAppend: fields.aof_last_write_status ?? null
  }
  const broken = [
    ...(fields.rdb_last_bgsave_status === "err" ? ["the last snapshot (RDB) failed"] : []),
    ...(aof && fields.aof_last_write_status === "err" ? ["the last write to the append-only file failed"] : [])
  ]
  if (broken.length > 0) {
    return [
      warning("persistence", "persistence-broken", broken.join(", "), {
        advice: "Look at the server's disk and log. Until it is repaired, writes may fail with MISCONF.",
        data
      })
    ]
  }
  const kinds = [...(aof ? ["append-only file"] : []), ...(snapshots === true ? ["snapshots"] : [])]
  if (kinds.length > 0) {
    return [ok("persistence", "persistence-on", kinds.join(" and "), data)]
  }
  const message =
    snapshots === null
      ? "no append-only file; whether there are snapshots is not known"
      : "nothing is kept over a restart"
  return settings.features.has("streams") && snapshots === false
    ? [
        warning("persistence", "persistence-off", message, {
          advice: "Entries of streams are lost when the server restarts: switch appendonly on.",
          data
        })
      ]
    : [ok("persistence", "persistence-off", message, data)]
})
