/*
 * What the nodes of a cluster say about it (CLUSTER NODES), and whether they agree.
 */
import * as Option from "effect/Option"
import type { ClusterNode as Line } from "../../commands/cluster-models.js"
import { type Range, slotCount } from "./clusterSlots.js"

/** The cluster as one node sees it. */
export interface View {
  /** The node that said it. */
  readonly by: string
  readonly lines: ReadonlyArray<Line>
}

const isPrimary = ({ flags }: Line): boolean => flags.includes("master")

const epochOf = ({ configEpoch }: Line): string => Option.match(configEpoch, { onNone: () => "?", onSome: String })

const text = (ranges: ReadonlyArray<Range>): string =>
  ranges.map(({ end, start }) => (start === end ? `${start}` : `${start}-${end}`)).join(" ")

/** The slots that a node imports. A node of Redis does not learn who owns them as long as it imports them. */
const importedIn = ({ lines }: View): ReadonlyArray<number> =>
  lines.flatMap(({ importing }) => importing.map(({ slot }) => slot))

const without = (ranges: ReadonlyArray<Range>, slots: ReadonlyArray<number>): ReadonlyArray<Range> =>
  slots.reduce<ReadonlyArray<Range>>(
    (ranges, slot) =>
      ranges.flatMap(({ end, start }) =>
        slot < start || slot > end
          ? [{ start, end }]
          : [
              { start, end: slot - 1 },
              { start: slot + 1, end }
            ].filter(({ end, start }) => start <= end)
      ),
    ranges
  )

/** Roles, owners of slots and their epochs: equal for nodes that agree. */
const mapOf = ({ lines }: View, imported: ReadonlyArray<number>): string =>
  lines
    .map((line) => {
      if (!isPrimary(line)) return `${line.id} replica of ${Option.getOrElse(line.master, () => "-")}`
      const slots = without(line.slots, imported)
      return `${line.id} primary${slots.length === 0 ? "" : ` epoch ${epochOf(line)} slots ${text(slots)}`}`
    })
    .sort()
    .join("\n")

const short = (id: string): string => id.slice(0, 8)

const unsettledFlags = ["handshake", "noaddr", "fail?", "fail"]

/** What is wrong with a line about a node that the asked node should be connected to. */
const unsettled = (line: Line): string | undefined => {
  const flag = unsettledFlags.find((flag) => line.flags.includes(flag))
  if (flag !== undefined) return flag
  return line.flags.includes("myself") || Option.contains(line.linkState, "connected") ? undefined : "disconnected"
}

/** Why the nodes do not agree; `undefined` when they do. `members` are the ids of all nodes, `views` of those that run. */
export const disagreement = (views: ReadonlyArray<View>, members: ReadonlyArray<string>): string | undefined => {
  const [first] = views
  if (first === undefined) return "no node can be reached"
  const reachable = new Set(views.map(({ by }) => by))
  for (const { by, lines } of views) {
    const known = new Set(lines.map(({ id }) => id))
    const missing = members.find((id) => !known.has(id))
    if (missing !== undefined) return `${short(by)} does not know ${short(missing)}`
    const stranger = lines.find(({ id }) => !members.includes(id))
    if (stranger !== undefined) return `${short(by)} still knows ${short(stranger.id)}`
    for (const line of lines) {
      const problem = reachable.has(line.id) ? unsettled(line) : undefined
      if (problem !== undefined) return `${short(by)} says of ${short(line.id)}: ${problem}`
    }
  }
  const imported = views.flatMap(importedIn)
  const map = mapOf(first, imported)
  const other = views.find((view) => mapOf(view, imported) !== map)
  return other === undefined
    ? undefined
    : `${short(first.by)} and ${short(other.by)} have different maps:\n${map}\n\n${mapOf(other, imported)}`
}

/** Why the cluster does not serve every slot, though its nodes agree; `undefined` when it does. */
export const unserved = (view: View, reachable: ReadonlySet<string>): string | undefined => {
  let served = 0
  for (const line of view.lines) {
    if (!reachable.has(line.id)) {
      if (isPrimary(line) && line.slots.length > 0) {
        return `the slots ${text(line.slots)} belong to ${short(line.id)}, which cannot be reached`
      }
      if (!line.flags.includes("fail")) return `${short(line.id)} cannot be reached, and is not in the state fail`
    }
    for (const { end, start } of line.slots) served += end - start + 1
  }
  return served === slotCount ? undefined : `${slotCount - served} slots belong to no node`
}

/** The replicas that clients should see, by their primary: those that can be reached. */
export const replicasIn = (view: View, reachable: ReadonlySet<string>): ReadonlyMap<string, ReadonlyArray<string>> => {
  const replicas = new Map<string, Array<string>>()
  for (const line of view.lines) {
    const primary = Option.getOrUndefined(line.master)
    if (primary === undefined || isPrimary(line) || !reachable.has(line.id)) continue
    replicas.set(primary, [...(replicas.get(primary) ?? []), line.id])
  }
  return replicas
}

/**
 * The view to believe: that of the highest epoch. During a failover or a move the nodes differ, and the owner of a slot
 * with the highest epoch is always right. Of several, one that imports no slots.
 */
export const newest = (views: ReadonlyArray<View>): View | undefined => {
  const epoch = ({ lines }: View) =>
    Math.max(0, ...lines.map((line) => Number(Option.getOrElse(line.configEpoch, () => 0))))
  return [...views].sort((a, b) => epoch(b) - epoch(a) || importedIn(a).length - importedIn(b).length)[0]
}

export { isPrimary }
