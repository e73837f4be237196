/**
 * The contestants. Each runs in its own process; docs/decisions says why.
 */

import { effectRedis } from "./clients/effectRedis.js"
import { floor, floorInEffect, runtime } from "./clients/floor.js"
import { glide } from "./clients/glide.js"
import { ioredis } from "./clients/ioredis.js"
import { flexible, upstash } from "./clients/limiters.js"
import { redlock, redlockUniversal } from "./clients/locks.js"
import { nodeRedis } from "./clients/nodeRedis.js"
import { ours } from "./clients/ours.js"
import { type Rival, runner } from "./clients/rival.js"
import type { Tracing } from "./clients/traced.js"
import { decoder, encoder } from "./codec.js"
import type { Place, Runner, Work } from "./work.js"

export interface Contestant {
  readonly title: string
  /** The package whose version is shown; none for ourselves and the floors. */
  readonly package?: string
  /** `undefined` when it has no such thing. */
  readonly make: (place: Place, work: Work) => Promise<Runner | undefined>
}

const rival = (title: string, name: string, open: (place: Place, work: Work) => Promise<Rival>) =>
  (["", "+effect"] as const).map((suffix): readonly [string, Contestant] => [
    title + suffix,
    {
      title: suffix === "" ? title : `${title}, inside Effect`,
      package: name,
      make: async (place, work) => runner(place, await open(place, work), work, suffix !== "")
    }
  ])

const pooled = (work: Work): number => (work.op === "pool" ? work.size : 0)

/** Loaded by who is traced only. */
const tracing = () => import("./clients/traced.js")

const traced = async (place: Place, work: Work, how: Tracing) => (await tracing()).oursTraced(place, work, how)

const clients: Readonly<Record<string, Contestant>> = {
  us: { title: "effect-redis-client", make: (place, work) => ours(place, work, false) },
  "us-shared": {
    title: "effect-redis-client, shared scheduler",
    make: (place, work) => ours(place, work, true)
  },
  ...Object.fromEntries([
    ...rival("node-redis", "redis", (place, work) => nodeRedis(place, "off", pooled(work))),
    ...rival("node-redis-default", "redis", (place, work) => nodeRedis(place, "default", pooled(work))),
    ...rival("ioredis", "ioredis", (place) => ioredis(place, "ioredis", false)),
    ...rival("ioredis-auto", "ioredis", (place) => ioredis(place, "ioredis", true)),
    ...rival("iovalkey", "iovalkey", (place) => ioredis(place, "iovalkey", false)),
    ...rival("redlock", "redlock", (place) => redlock(place)),
    ...rival("redlock-universal", "redlock-universal", (place) => redlockUniversal(place)),
    ...rival("rate-limiter-flexible", "rate-limiter-flexible", (place) => flexible(place)),
    ...rival("upstash-ratelimit", "@upstash/ratelimit", (place) => upstash(place)),
    ...rival("glide", "@valkey/valkey-glide", (place) => glide(place))
  ]),
  "us-tracer": {
    title: "effect-redis-client, a tracer, no span",
    make: (place, work) => traced(place, work, "tracer")
  },
  "us-spans-off": { title: "effect-redis-client, spans off", make: (place, work) => traced(place, work, "off") },
  "us-unsampled": {
    title: "effect-redis-client, a span that is not sampled",
    make: (place, work) => traced(place, work, "unsampled")
  },
  "us-sampled": {
    title: "effect-redis-client, a sampled span",
    make: (place, work) => traced(place, work, "sampled")
  },
  "us-durations": {
    title: "effect-redis-client, a histogram of durations",
    make: (place, work) => ours(place, work, false, { options: { telemetry: { metrics: { commands: true } } } })
  },
  "ioredis-traced": {
    title: "ioredis, traced",
    package: "ioredis",
    make: async (place, work) =>
      (await tracing()).rivalTraced(place, work, "ioredis", () => ioredis(place, "ioredis", false))
  },
  "node-redis-traced": {
    title: "node-redis, traced",
    package: "redis",
    make: async (place, work) => (await tracing()).rivalTraced(place, work, "redis", () => nodeRedis(place, "off", 0))
  },
  floor: { title: "floor: a bare socket", make: (place, work) => floor(place, work) },
  "floor+effect": { title: "floor: a bare socket, inside Effect", make: (place, work) => floorInEffect(place, work) },
  runtime: { title: "floor: Effect, answered at once", make: (_, work) => runtime(work, false) },
  "runtime-shared": {
    title: "floor: Effect, answered at once, shared scheduler",
    make: (_, work) => runtime(work, true)
  }
}

/**
 * What runs in the edition for Effect 4: the same code, translated, under the names of `inEffect4`. The last three are
 * Effect's own service for Redis.
 */
const effect4: Readonly<Record<string, Contestant>> = {
  "effect4-node-redis": {
    title: "Effect's NodeRedis.layer",
    package: "redis",
    make: (place, work) => effectRedis(place, work, "default")
  },
  "effect4-node-redis-off": {
    title: "Effect's NodeRedis.layer, timeout off",
    package: "redis",
    make: (place, work) => effectRedis(place, work, "off")
  },
  "effect4-service": {
    title: "EffectRedis.layer",
    make: (place, work) => effectRedis(place, work, "ours")
  }
}

/** Those that do nothing but the rows that name them. */
export const specialists: ReadonlySet<string> = new Set(
  ["rate-limiter-flexible", "upstash-ratelimit"].flatMap((name) => [name, `${name}+effect`])
)

/** The contestants of a bench's folder for Effect 4, by their names in tables. */
export const inEffect4: Readonly<Record<string, string>> = {
  "us-effect4": "us",
  "floor+effect4": "floor+effect",
  "runtime-effect4": "runtime",
  ...Object.fromEntries(Object.keys(effect4).map((name) => [name, name]))
}

export const contestants: Readonly<Record<string, Contestant>> = Object.fromEntries(
  Object.entries({ ...clients, ...effect4 }).map(([name, client]) => [
    name,
    {
      ...client,
      make: async (place, work) =>
        work.op === "decode"
          ? decoder(name, place, work)
          : work.op === "encode"
            ? encoder(name, place, work)
            : client.make(place, work)
    }
  ])
)
