import type { Place } from "../work.js"
import { load, type Rival } from "./rival.js"

interface Batch {
  get(key: string): Batch
  set(key: string, value: string): Batch
}

interface Client {
  close(): void
  ping(): Promise<unknown>
  get(key: string): Promise<unknown>
  set(key: string, value: string): Promise<unknown>
  mget(keys: ReadonlyArray<string>): Promise<unknown>
  lrange(key: string, start: number, stop: number): Promise<unknown>
  hgetall(key: string): Promise<unknown>
  xreadgroup(
    group: string,
    consumer: string,
    streams: Readonly<Record<string, string>>,
    options: { readonly count: number }
  ): Promise<unknown>
  exec(batch: Batch, raiseOnError: boolean): Promise<unknown>
}

interface Module {
  readonly GlideClient: {
    createClient(options: {
      readonly addresses: ReadonlyArray<{ readonly host: string; readonly port: number }>
      readonly requestTimeout: number
    }): Promise<Client>
  }
  readonly Batch: new (atomic: boolean) => Batch
}

export const glide = async (place: Place): Promise<Rival> => {
  const { Batch, GlideClient } = load<Module>(place, "@valkey/valkey-glide")
  const open = () =>
    GlideClient.createClient({
      addresses: [{ host: place.host, port: place.port }],
      // Its default of 250 ms is too short for 50 MB, and for a machine on which others work. The cost is the same.
      requestTimeout: 10_000
    })
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
            const batch = new Batch(false)
            for (const key of work.keys) {
              batch.get(key)
            }
            return client.exec(batch, true)
          }
        case "transaction":
          return () => {
            const batch = new Batch(true)
            for (const [key, value] of work.pairs) {
              batch.set(key, value).get(key)
            }
            return client.exec(batch, true)
          }
        case "mget":
          return () => client.mget(work.keys)
        case "lrange":
          return () => client.lrange(work.key, 0, -1)
        case "hgetall":
          return () => client.hgetall(work.key)
        case "xreadgroup":
          return () => client.xreadgroup(work.group, "bench", { [work.key]: "0" }, { count: work.count })
        case "connect":
          return async () => {
            const one = await open()
            const reply = await one.ping()
            one.close()
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
    close: async () => client.close()
  }
}
