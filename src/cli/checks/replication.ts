/** The server's role, its replicas and how far they are behind, from INFO. */
import * as Effect from "effect/Effect"
import { visible } from "../../internal/resp/visible.js"
import type { RedisError } from "../../RedisError.js"
import { number, type Patient, withInfo } from "../patient.js"
import { bytes, counted, type Finding, failure, ok, warning } from "../report.js"
import type { Feature } from "../settings.js"
import { show } from "./network.js"

/** A replica that acknowledged nothing for longer than this, in seconds, is worth a warning: it should do so every second. */
const late = 10

/** What writes. */
const writes: ReadonlyArray<Feature> = ["commands", "transactions", "scripts", "functions", "streams", "locks"]

export const checkReplication = (patient: Patient): Effect.Effect<ReadonlyArray<Finding>, RedisError> =>
  Effect.succeed(
    withInfo(patient, (fields) =>
      fields.role === "slave" ? replica(patient, fields) : fields.role === "master" ? primary(patient, fields) : []
    )
  )

/** `ip=10.0.0.2,port=6379,state=online,offset=42,lag=1` as fields. */
const fieldsOf = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    text.split(",").map((part) => [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)])
  )

const primary = (patient: Patient, fields: Readonly<Record<string, string>>): ReadonlyArray<Finding> => {
  const offset = number(patient, "master_repl_offset") ?? 0
  const replicas = Object.entries(fields)
    .filter(([name]) => /^slave\d+$/.test(name))
    .map(([, text]) => {
      const { ip = "", lag, offset: seen, port, state = "unknown" } = fieldsOf(text)
      return {
        address: visible(show({ host: ip, port: Number(port) })),
        state: visible(state),
        lagSeconds: lag === undefined ? null : Number(lag),
        behindBytes: seen === undefined ? null : Math.max(offset - Number(seen), 0)
      }
    })
  const slow = replicas.filter(({ lagSeconds, state }) => state !== "online" || (lagSeconds ?? 0) > late)
  const behind = Math.max(0, ...replicas.map(({ behindBytes }) => behindBytes ?? 0))
  const what = `primary with ${counted(replicas.length, "replica")}${replicas.length === 0 ? "" : `, at most ${bytes(behind)} behind`}`
  const data = { role: "primary", replicas }
  return [
    slow.length === 0
      ? ok("replication", "primary", what, data)
      : warning(
          "replication",
          "replica-lags",
          slow
            .map(({ address, lagSeconds, state }) => `replica ${address} is ${state}, ${lagSeconds ?? "?"} s late`)
            .join("; "),
          { advice: "After a failover to it, what it lacks is lost: look at its network and its disk.", data }
        )
  ]
}

const replica = (patient: Patient, fields: Readonly<Record<string, string>>): ReadonlyArray<Finding> => {
  const { features } = patient.settings
  const of = visible(show({ host: fields.master_host ?? "", port: Number(fields.master_port ?? 0) }))
  const up = fields.master_link_status === "up"
  const writing = writes.filter((feature) => features.has(feature))
  const data = {
    role: "replica",
    primary: of,
    linkUp: up,
    secondsBehind: number(patient, "master_last_io_seconds_ago") ?? null
  }
  const what = `a replica of ${of}, which accepts no writes (READONLY)`
  const advice = `Connect to the primary, ${of}.`
  return [
    writing.length > 0 && fields.slave_read_only !== "0"
      ? failure("replication", "replica", `${what}; ${writing.join(", ")} need them`, { advice, data })
      : warning("replication", "replica", what, { advice, data }),
    ...(up
      ? []
      : [
          warning("replication", "replica-cut-off", `it has no connection to its primary ${of}`, {
            advice: "Its data are old. Look at the network between the two, and at masterauth.",
            data
          })
        ])
  ]
}
