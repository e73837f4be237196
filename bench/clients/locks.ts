/** Locks of others, over ioredis: an operation takes a lock and gives it back. */
import type { Place, Work } from "../work.js"
import { load, type Rival } from "./rival.js"

interface Client {
  on(event: "error", listener: (error: unknown) => void): void
  disconnect(): void
}

interface Ioredis {
  readonly Redis: new (options: { readonly host: string; readonly port: number }) => Client
}

type Redlock = new (
  clients: ReadonlyArray<Client>,
  options: { readonly retryCount: number }
) => { lock(name: string, ttl: number): Promise<{ unlock(): Promise<void> }> }

interface Universal {
  readonly IoredisAdapter: new (client: Client) => unknown
  readonly createLock: (config: {
    readonly adapter: unknown
    readonly key: string
    readonly ttl: number
    readonly retryAttempts: number
  }) => { acquire(): Promise<unknown>; release(handle: unknown): Promise<unknown> }
}

export type LockWork = Work & { readonly op: "lock" }

const ttl = 10_000

/** The names of a row, in turn. */
export const names = ({ names }: LockWork): (() => string) => {
  let next = 0
  return () => `bench:lock:${next++ % names}`
}

const open = (place: Place): Client => {
  const { Redis } = load<Ioredis>(place, "ioredis")
  const client = new Redis({ host: place.host, port: place.port })
  client.on("error", () => {})
  return client
}

/** With its own pauses between attempts, and without an end to them. */
export const redlock = async (place: Place): Promise<Rival> => {
  const client = open(place)
  const locks = new (load<Redlock>(place, "redlock"))([client], { retryCount: -1 })
  return {
    operation: (work) => {
      if (work.op !== "lock") {
        return undefined
      }
      const name = names(work)
      return async () => {
        const lock = await locks.lock(name(), ttl)
        await lock.unlock()
      }
    },
    close: async () => client.disconnect()
  }
}

export const redlockUniversal = async (place: Place): Promise<Rival> => {
  const client = open(place)
  const { createLock, IoredisAdapter } = load<Universal>(place, "redlock-universal")
  const adapter = new IoredisAdapter(client)
  return {
    operation: (work) => {
      if (work.op !== "lock") {
        return undefined
      }
      const name = names(work)
      return async () => {
        const lock = createLock({ adapter, key: name(), ttl, retryAttempts: 1_000_000 })
        await lock.release(await lock.acquire())
      }
    },
    close: async () => client.disconnect()
  }
}
