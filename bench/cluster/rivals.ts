import { load } from "../clients/rival.js"
import type { Address, Place } from "../work.js"
import type { Client } from "./runner.js"

interface NodeRedis {
  createCluster(options: {
    readonly rootNodes: ReadonlyArray<{ readonly socket: Address }>
    readonly commandOptions?: { readonly timeout: undefined } | undefined
  }): {
    on(event: "error", listener: (error: unknown) => void): void
    connect(): Promise<unknown>
    close(): Promise<void>
    get(key: string): Promise<string | null>
    set(key: string, value: string): Promise<unknown>
    mGet(keys: ReadonlyArray<string>): Promise<unknown>
  }
}

export const nodeRedis = async (place: Place, timeout: "off" | "default"): Promise<Client> => {
  const { nodes = [] } = place
  const client = load<NodeRedis>(place, "redis").createCluster({
    rootNodes: nodes.map((socket) => ({ socket })),
    // Spread over its own default, so that the key has to be there.
    ...(timeout === "off" ? { commandOptions: { timeout: undefined } } : {})
  })
  client.on("error", () => {})
  await client.connect()
  return {
    get: (key) => client.get(key),
    set: (key, value) => client.set(key, value),
    mget: (keys) => client.mGet(keys),
    // Its pipelines go to the node of their first key.
    gets: (keys) => Promise.all(keys.map((key) => client.get(key))),
    close: () => client.close()
  }
}

interface IoRedis {
  readonly Cluster: new (
    nodes: ReadonlyArray<Address>,
    options: { readonly lazyConnect: boolean; readonly enableAutoPipelining: boolean }
  ) => {
    on(event: "error", listener: (error: unknown) => void): void
    connect(): Promise<void>
    quit(): Promise<unknown>
    get(key: string): Promise<string | null>
    set(key: string, value: string): Promise<unknown>
  }
}

export const ioredis = async (place: Place, enableAutoPipelining: boolean): Promise<Client> => {
  const { Cluster } = load<IoRedis>(place, "ioredis")
  const client = new Cluster(place.nodes ?? [], { lazyConnect: true, enableAutoPipelining })
  client.on("error", () => {})
  await client.connect()
  const gets = (keys: ReadonlyArray<string>) => Promise.all(keys.map((key) => client.get(key)))
  return {
    get: (key) => client.get(key),
    set: (key, value) => client.set(key, value),
    // Both are of one slot, or of one node.
    mget: gets,
    gets,
    close: () => client.quit()
  }
}

interface Batch {
  get(key: string): Batch
}

interface Glide {
  readonly GlideClusterClient: {
    createClient(options: { readonly addresses: ReadonlyArray<Address>; readonly requestTimeout: number }): Promise<{
      close(): void
      get(key: string): Promise<unknown>
      set(key: string, value: string): Promise<unknown>
      mget(keys: ReadonlyArray<string>): Promise<unknown>
      exec(batch: Batch, raiseOnError: boolean): Promise<unknown>
    }>
  }
  readonly ClusterBatch: new (atomic: boolean) => Batch
  readonly Logger: { setLoggerConfig(level: "off"): void }
}

export const glide = async (place: Place): Promise<Client> => {
  const { ClusterBatch, GlideClusterClient, Logger } = load<Glide>(place, "@valkey/valkey-glide")
  // It warns of each refused command, on the screen.
  Logger.setLoggerConfig("off")
  const client = await GlideClusterClient.createClient({
    addresses: place.nodes ?? [],
    // Its default of 250 ms is too short for a machine on which others work. The cost is the same.
    requestTimeout: 10_000
  })
  return {
    get: (key) => client.get(key),
    set: (key, value) => client.set(key, value),
    mget: (keys) => client.mget(keys),
    gets: (keys) => {
      const batch = new ClusterBatch(false)
      for (const key of keys) {
        batch.get(key)
      }
      return client.exec(batch, true)
    },
    close: async () => client.close()
  }
}
