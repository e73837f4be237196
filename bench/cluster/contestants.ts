/** The contestants of `--cluster`. */
import type { ClusterWork, Place, Runner } from "../work.js"
import { ours, oursOfOneServer } from "./ours.js"
import { glide, ioredis, nodeRedis } from "./rivals.js"
import { type Client, runner } from "./runner.js"

interface Contestant {
  readonly make: (place: Place, work: ClusterWork) => Promise<Runner>
}

const rival = (name: string, open: (place: Place) => Promise<Client>) =>
  (["", "+effect"] as const).map((suffix): readonly [string, Contestant] => [
    name + suffix,
    { make: (place, work) => runner(() => open(place), work, suffix !== "") }
  ])

/** Our client of one server, for the ratio. */
export const single = "us-single"

export const contestants: Readonly<Record<string, Contestant>> = {
  us: { make: ours },
  [single]: { make: oursOfOneServer },
  ...Object.fromEntries([
    ...rival("node-redis", (place) => nodeRedis(place, "off")),
    ...rival("node-redis-default", (place) => nodeRedis(place, "default")),
    ...rival("ioredis", (place) => ioredis(place, false)),
    ...rival("ioredis-auto", (place) => ioredis(place, true)),
    ...rival("glide", glide)
  ])
}
