import type { Place } from "../work.js"
import { load, type Rival } from "./rival.js"

interface Chain {
  get(key: string): Chain
  set(key: string, value: string): Chain
  exec(): Promise<unknown>
}

interface Client {
  on(event: "error", listener: (error: unknown) => void): void
  on(event: "message", listener: (channel: string, message: string) => void): void
  setMaxListeners(most: number): void
  subscribe(channel: string): Promise<unknown>
  connect(): Promise<void>
  quit(): Promise<unknown>
  disconnect(): void
  ping(): Promise<string>
  get(key: string): Promise<string | null>
  set(key: string, value: string): Promise<unknown>
  mget(keys: ReadonlyArray<string>): Promise<unknown>
  lrange(key: string, start: number, stop: number): Promise<unknown>
  hgetall(key: string): Promise<unknown>
  xreadgroup(...args: ReadonlyArray<string>): Promise<unknown>
  pipeline(): Chain
  multi(): Chain
}

interface Module {
  readonly Redis: new (options: {
    readonly host: string
    readonly port: number
    readonly lazyConnect: boolean
    readonly enableAutoPipelining: boolean
  }) => Client
}

/** ioredis, and iovalkey, which is a fork of it. */
export const ioredis = async (place: Place, name: "ioredis" | "iovalkey", autoPipelining: boolean): Promise<Rival> => {
  const { Redis } = load<Module>(place, name)
  const open = async (): Promise<Client> => {
    const client = new Redis({
      host: place.host,
      port: place.port,
      lazyConnect: true,
      enableAutoPipelining: autoPipelining
    })
    client.on("error", () => {})
    await client.connect()
    return client
  }
  const client = await open()
  return {
    operation: (work) => {
      switch (work.op) {
        case "get":
          return () => client.get(work.key)
        case "set":
          return () => client.set(work.key, work.value)
        case "pipeline":
          return () => {
            const chain = client.pipeline()
            for (const key of work.keys) {
              chain.get(key)
            }
            return chain.exec()
          }
        case "transaction":
          return () => {
            const chain = client.multi()
            for (const [key, value] of work.pairs) {
              chain.set(key, value).get(key)
            }
            return chain.exec()
          }
        case "mget":
          return () => client.mget(work.keys)
        case "lrange":
          return () => client.lrange(work.key, 0, -1)
        case "hgetall":
          return () => client.hgetall(work.key)
        case "xreadgroup":
          return () =>
            client.xreadgroup("GROUP", work.group, "bench", "COUNT", String(work.count), "STREAMS", work.key, "0")
        case "connect":
          return async () => {
            const one = await open()
            const reply = await one.ping()
            await one.quit()
            return reply
          }
        case "pool":
        case "fanout":
        case "limit":
        case "decode":
        case "encode":
        case "lock":
          return undefined
      }
    },
    listen: async (channel, onMessage) => {
      client.setMaxListeners(0)
      await client.subscribe(channel)
      client.on("message", (_, message) => onMessage(message))
    },
    close: async () => {
      client.disconnect()
    }
  }
}
