/** Proxies in a thread of their own (`thread.ts`), and holding the event loop of this one. */
import { Worker } from "node:worker_threads"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import type { News, Order, Release } from "./thread.js"

/** A proxy whose thread goes on while this one is held. */
export interface Apart {
  readonly make: (target: {
    readonly host: string
    readonly port: number
  }) => Effect.Effect<FaultProxy.FaultProxy, FaultProxy.FaultProxyError, Scope.Scope>
  /**
   * Holds the event loop for `millis` at least, and until everything that the servers have to answer is in the sockets of
   * their clients. With `heal`, the proxies pass on meanwhile what they had stopped.
   */
  readonly hold: (millis: number, servers: ReadonlyArray<string>, heal: boolean) => void
}

/** In Node 20 a thread does not take over the loader of TypeScript. */
const start = `import("tsx/esm/api").then(({ register }) => {
  register()
  return import(require("node:worker_threads").workerData)
})`

const nothing: FaultProxy.Stats = {
  accepted: 0,
  open: 0,
  unreachable: 0,
  bytesToServer: 0,
  bytesToClient: 0,
  swallowed: 0
}

/** What is known of a proxy in the thread. */
interface Known {
  stats: FaultProxy.Stats
  connections: ReadonlyArray<FaultProxy.ConnectionStats>
  readonly listeners: Set<() => void>
}

type Asked<O extends Order = Order> = O extends Order ? Omit<O, "call" | "proxy"> : never

export const makeApart: Effect.Effect<Apart, never, Scope.Scope> = Effect.gen(function* () {
  const worker = yield* Effect.acquireRelease(
    Effect.sync(() => new Worker(start, { eval: true, workerData: new URL("./thread.ts", import.meta.url).href })),
    (worker) => Effect.promise(() => worker.terminate())
  )
  const calls = new Map<number, (done: Extract<News, { readonly _tag: "done" }>) => void>()
  const known = new Map<number, Known>()
  let made = 0
  let called = 0
  worker.on("message", (news: News) => {
    if (news._tag === "done") {
      calls.get(news.call)?.(news)
      calls.delete(news.call)
      return
    }
    const proxy = known.get(news.proxy)
    if (proxy !== undefined) {
      proxy.stats = news.stats
      proxy.connections = news.connections
      for (const listener of [...proxy.listeners]) {
        listener()
      }
    }
  })
  const ask = (proxy: number, order: Asked): Effect.Effect<number, FaultProxy.FaultProxyError> =>
    Effect.async((resume) => {
      const call = called++
      calls.set(call, ({ port, problem }) =>
        resume(
          problem === undefined
            ? Effect.succeed(port)
            : Effect.fail(new FaultProxy.FaultProxyError({ reason: "Listen", message: problem }))
        )
      )
      worker.postMessage({ ...order, call, proxy })
    })
  return {
    make: ({ host, port }) =>
      Effect.gen(function* () {
        const id = made++
        const proxy: Known = { stats: nothing, connections: [], listeners: new Set() }
        known.set(id, proxy)
        const listening = yield* Effect.acquireRelease(ask(id, { _tag: "make", host, port }), () =>
          Effect.ensuring(
            Effect.orDie(ask(id, { _tag: "close" })),
            Effect.sync(() => known.delete(id))
          )
        )
        return {
          [FaultProxy.TypeId]: FaultProxy.TypeId,
          host: "127.0.0.1",
          port: listening,
          stats: Effect.sync(() => proxy.stats),
          connections: Effect.sync(() => proxy.connections),
          until: (predicate) =>
            Effect.async<FaultProxy.Stats>((resume) => {
              const look = (): void => {
                if (predicate(proxy.stats)) {
                  proxy.listeners.delete(look)
                  resume(Effect.succeed(proxy.stats))
                }
              }
              proxy.listeners.add(look)
              look()
              return Effect.sync(() => proxy.listeners.delete(look))
            }),
          inject: (fault, where) =>
            Effect.asVoid(
              ask(id, {
                _tag: "inject",
                faults: ("fault" in fault ? [fault] : fault).map(({ fault }) => fault),
                where: {
                  direction: where?.direction ?? "both",
                  on: where?.on ?? "all",
                  times: where?.times ?? Number.POSITIVE_INFINITY
                }
              })
            ),
          heal: Effect.asVoid(ask(id, { _tag: "heal" }))
        }
      }),
    hold: (millis, servers, heal) => {
      const gate = new Int32Array(new SharedArrayBuffer(4))
      worker.postMessage({ _tag: "release", millis, heal, servers, gate } satisfies Release)
      Atomics.wait(gate, 0, 0, millis + 60_000)
    }
  }
})

/** Waits until each cell has come here or has ended, and then acts once for all of them. */
class Gate {
  private readonly here: Array<() => void> = []
  constructor(
    private cells: number,
    private readonly act: () => void
  ) {}

  readonly arrive: Effect.Effect<void> = Effect.async((resume) => {
    this.here.push(() => resume(Effect.void))
    this.look()
  })

  readonly leave = (): void => {
    this.cells--
    this.look()
  }

  private look(): void {
    if (this.here.length > 0 && this.here.length >= this.cells) {
      this.act()
      for (const goOn of this.here.splice(0)) {
        goOn()
      }
    }
  }
}

/** Cells that are held together, because each of them would be held by the others anyway. */
export class Together {
  private readonly start: Gate
  private readonly moment: Gate
  constructor(cells: number, hold: () => void) {
    this.start = new Gate(cells, () => {})
    this.moment = new Gate(cells, hold)
  }

  /** Waits until every cell can begin its call, so that no deadline begins long before the event loop is held. */
  get ready(): Effect.Effect<void> {
    return this.start.arrive
  }

  /** Waits until every call has come to its moment and the event loop was held. */
  get held(): Effect.Effect<void> {
    return this.moment.arrive
  }

  /** A cell has ended. */
  readonly leave: Effect.Effect<void> = Effect.sync(() => {
    this.start.leave()
    this.moment.leave()
  })
}
