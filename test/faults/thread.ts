/**
 * A thread with proxies of its own. They pass bytes while the event loop of the tests is held, so that what a server answers
 * meanwhile is in the client's socket when the loop goes on.
 */
import * as Net from "node:net"
import { parentPort } from "node:worker_threads"
import {
  type ConnectionStats,
  type CoreStats,
  type Fault,
  ProxyCore,
  type Where
} from "../../src/testing/internal/faultProxyCore.js"

/** What the thread is asked to do with one of its proxies. Each order is answered by `done`. */
export type Order = { readonly call: number; readonly proxy: number } & (
  | { readonly _tag: "make"; readonly host: string; readonly port: number }
  | { readonly _tag: "inject"; readonly faults: ReadonlyArray<Fault>; readonly where: Where }
  | { readonly _tag: "heal" }
  | { readonly _tag: "close" }
)

/** All proxies are healed, if asked for. After `millis`, and when what the servers have answered is passed on, `gate` opens. */
export interface Release {
  readonly _tag: "release"
  readonly millis: number
  readonly heal: boolean
  /** The unix sockets of the servers. */
  readonly servers: ReadonlyArray<string>
  readonly gate: Int32Array
}

export type News =
  | { readonly _tag: "done"; readonly call: number; readonly port: number; readonly problem: string | undefined }
  | {
      readonly _tag: "changed"
      readonly proxy: number
      readonly stats: CoreStats
      readonly connections: ReadonlyArray<ConnectionStats>
    }

const proxies = new Map<number, ProxyCore>()
const tell = (news: News): void => parentPort?.postMessage(news)

/** Resolves when the server has answered a PING, and so every command that it had read before. */
const answered = (path: string) =>
  new Promise<void>((resolve, reject) => {
    const socket = Net.connect({ path }, () => socket.write("PING\r\n"))
    socket.once("error", reject)
    socket.once("data", () => {
      socket.destroy()
      resolve()
    })
  })

const passed = (): string => JSON.stringify([...proxies.values()].map(({ stats }) => stats))

/** Resolves when the proxies have nothing more to pass on. */
const quiet = async (): Promise<void> => {
  for (let before = ""; before !== passed(); ) {
    before = passed()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const release = async ({ gate, heal, millis, servers }: Release): Promise<void> => {
  if (heal) {
    for (const proxy of proxies.values()) {
      proxy.heal(() => {})
    }
  }
  await new Promise((resolve) => setTimeout(resolve, millis))
  await quiet()
  await Promise.all(servers.map(answered))
  await quiet()
  Atomics.store(gate, 0, 1)
  Atomics.notify(gate, 0)
}

const obey = (order: Order): void => {
  const proxy = proxies.get(order.proxy)
  const done = (problem?: Error | undefined): void =>
    tell({ _tag: "done", call: order.call, port: proxies.get(order.proxy)?.port ?? 0, problem: problem?.message })
  switch (order._tag) {
    case "make": {
      const { host, port } = order
      const made = new ProxyCore({ target: { host, port }, host: "127.0.0.1", seed: 1 })
      proxies.set(order.proxy, made)
      made.observe(() =>
        tell({ _tag: "changed", proxy: order.proxy, stats: made.stats, connections: made.connections })
      )
      return made.listen(0, done)
    }
    case "inject":
      for (const fault of order.faults) {
        proxy?.inject(fault, order.where)
      }
      return done()
    case "heal":
      return proxy === undefined ? done() : proxy.heal(done)
    case "close":
      proxies.delete(order.proxy)
      return proxy === undefined ? done() : proxy.close(() => done())
  }
}

parentPort?.on("message", (message: Order | Release) => {
  if (message._tag === "release") {
    void release(message)
  } else {
    obey(message)
  }
})
