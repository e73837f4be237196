import type { Place } from "../work.js"
import { load, type Rival } from "./rival.js"

interface Multi {
  get(key: string): Multi
  set(key: string, value: string): Multi
  exec(): Promise<ReadonlyArray<unknown>>
  execAsPipeline(): Promise<ReadonlyArray<unknown>>
}

interface Client {
  on(event: "error", listener: (error: unknown) => void): void
  connect(): Promise<unknown>
  close(): Promise<void>
  ping(): Promise<string>
  get(key: string): Promise<string | null>
  set(key: string, value: string): Promise<unknown>
  mGet(keys: ReadonlyArray<string>): Promise<unknown>
  lRange(key: string, start: number, stop: number): Promise<unknown>
  hGetAll(key: string): Promise<unknown>
  xReadGroup(
    group: string,
    consumer: string,
    streams: { readonly key: string; readonly id: string },
    options: { readonly COUNT: number }
  ): Promise<unknown>
  multi(): Multi
  subscribe(channel: string, listener: (message: string) => void): Promise<void>
}

interface ClientPool {
  on(event: "error", listener: (error: unknown) => void): void
  connect(): Promise<unknown>
  close(): Promise<void>
  execute(task: (client: Client) => unknown): Promise<unknown>
}

interface Options {
  readonly socket: { readonly host: string; readonly port: number }
  readonly commandOptions?: { readonly timeout: undefined } | undefined
}

interface Redis {
  createClient(options: Options): Client
  createClientPool(options: Options, pool: { readonly minimum: number; readonly maximum: number }): ClientPool
}

/** With its command timeout off (there is an `AbortSignal.timeout` for each command otherwise) it is at its fastest. */
export const nodeRedis = async (place: Place, timeout: "off" | "default", pooled: number): Promise<Rival> => {
  const redis = load<Redis>(place, "redis")
  const options: Options = {
    socket: { host: place.host, port: place.port },
    // Spread over its own default, so that the key has to be there.
    ...(timeout === "off" ? { commandOptions: { timeout: undefined } } : {})
  }
  const open = async (): Promise<Client> => {
    const client = redis.createClient(options)
    client.on("error", () => {})
    await client.connect()
    return client
  }
  const client = await open()
  const pool =
    pooled === 0 ? undefined : redis.createClientPool(options, { minimum: pooled, maximum: Math.max(1, pooled) })
  pool?.on("error", () => {})
  await pool?.connect()
  return {
    operation: (work) => {
      switch (work.op) {
        case "get":
          return () => client.get(work.key)
        case "set":
          return () => client.set(work.key, work.value)
        case "pipeline":
          return () => {
            const multi = client.multi()
            for (const key of work.keys) {
              multi.get(key)
            }
            return multi.execAsPipeline()
          }
        case "transaction":
          return () => {
            const multi = client.multi()
            for (const [key, value] of work.pairs) {
              multi.set(key, value).get(key)
            }
            return multi.exec()
          }
        case "mget":
          return () => client.mGet(work.keys)
        case "lrange":
          return () => client.lRange(work.key, 0, -1)
        case "hgetall":
          return () => client.hGetAll(work.key)
        case "xreadgroup":
          return () => client.xReadGroup(work.group, "bench", { key: work.key, id: "0" }, { COUNT: work.count })
        case "connect":
          return async () => {
            const one = await open()
            const reply = await one.ping()
            await one.close()
            return reply
          }
        case "pool":
          return pool === undefined ? undefined : () => pool.execute(() => true)
        case "fanout":
        case "limit":
        case "decode":
        case "encode":
        case "lock":
          return undefined
      }
    },
    listen: (channel, onMessage) => client.subscribe(channel, onMessage),
    close: async () => {
      await pool?.close()
      await client.close()
    }
  }
}
