/*
 * What sentinels and nodes say about the master, and whether they agree.
 */
import * as Option from "effect/Option"
import type { SentinelInstance, SentinelPrimary, SentinelReplica, ServerAddress } from "../../commands/sentinel.js"
import type { ServerRole } from "../../commands/server-replication.js"

/** What one sentinel says. */
export interface View {
  /** The port of this sentinel. */
  readonly by: number
  /** The address that it gives to clients. */
  readonly address: Option.Option<ServerAddress>
  readonly master: SentinelPrimary
  readonly replicas: ReadonlyArray<SentinelReplica>
  readonly others: ReadonlyArray<SentinelInstance>
  /** In this mode a sentinel does not judge who is down. */
  readonly tilt: boolean
}

/** A port, and whether the server there runs, is not paused and is not cut off. */
export interface Place {
  readonly port: number
  readonly reachable: boolean
}

/** What a node says about itself. */
export interface NodeRole {
  readonly port: number
  readonly role: ServerRole
}

/** What is wrong with what a sentinel says of a server, whose flags should be `kind` and no others. */
const unsettled = (lines: ReadonlyArray<SentinelInstance>, { port, reachable }: Place, kind: string) => {
  const line = lines.find((line) => Option.contains(line.port, port))
  if (line === undefined) return reachable ? `nothing of ${port}` : undefined
  // A sentinel may keep the last vote of another one, that the master is down, after the master has changed.
  const flags = line.flags.filter((flag) => flag !== "master_down").join(",")
  return (reachable ? flags === kind : line.flags.includes("s_down")) ? undefined : `of ${port}: ${flags}`
}

const unsettledIn = (view: View, master: number, nodes: ReadonlyArray<Place>, sentinels: ReadonlyArray<Place>) => {
  if (view.tilt) return "that it is in the mode TILT"
  const flags = view.master.flags.join(",")
  if (!Option.contains(view.master.port, master) || flags !== "master") return `of the master: ${flags}`
  for (const place of nodes) {
    if (place.port === master) continue
    const problem = unsettled(view.replicas, place, "slave")
    if (problem !== undefined) return problem
    const line = view.replicas.find(({ port }) => Option.contains(port, place.port))
    if (line === undefined || !place.reachable) continue
    if (!Option.contains(line.masterPort, master) || !Option.contains(line.masterLinkStatus, "ok")) {
      return `that ${place.port} is not connected to the master`
    }
  }
  for (const place of sentinels) {
    const problem = place.port === view.by ? undefined : unsettled(view.others, place, "sentinel")
    if (problem !== undefined) return problem
  }
  return undefined
}

/** Why sentinels and nodes do not agree; `undefined` when they do. Views and roles are of those that can be reached. */
export const disagreement = (
  views: ReadonlyArray<View>,
  roles: ReadonlyArray<NodeRole>,
  nodes: ReadonlyArray<Place>,
  sentinels: ReadonlyArray<Place>
): string | undefined => {
  const [first] = views
  if (first === undefined) return "no sentinel runs"
  const portOf = ({ address }: View) => Option.getOrUndefined(Option.map(address, ({ port }) => port))
  const master = portOf(first)
  const other = views.find((view) => portOf(view) !== master)
  if (master === undefined || other !== undefined) {
    return `the sentinel ${first.by} names ${master ?? "nobody"}${other === undefined ? "" : `, and ${other.by} names ${portOf(other) ?? "nobody"}`}`
  }
  const own = roles.find(({ port }) => port === master)?.role
  if (own === undefined) return `the sentinels name ${master}, which cannot be reached`
  if (own.role !== "master") return `the sentinels name ${master}, which says that it is a replica`
  for (const { port, role } of roles) {
    if (port === master) continue
    if (role.role !== "slave" || !Option.contains(role.port, master) || !Option.contains(role.state, "connected")) {
      return `${port} is not connected to the master ${master}`
    }
    if (!own.replicas.some((replica) => replica.port === port)) {
      return `the master ${master} does not list its replica ${port}`
    }
  }
  for (const view of views) {
    const problem = unsettledIn(view, master, nodes, sentinels)
    if (problem !== undefined) return `the sentinel ${view.by} says ${problem}`
  }
  const epochOf = ({ master }: View) => String(Option.getOrElse(master.configEpoch, () => "?"))
  const late = views.find((view) => epochOf(view) !== epochOf(first))
  return late === undefined
    ? undefined
    : `the sentinels ${first.by} and ${late.by} have the config epochs ${epochOf(first)} and ${epochOf(late)}`
}
