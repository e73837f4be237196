/** How rivals do the work of a row, all in the same way. */
import * as Effect from "effect/Effect"
import { text } from "../rows.js"
import { effects, promises } from "../runners.js"
import type { ClusterClient, ClusterWork, Runner } from "../work.js"
import { keySource } from "./keys.js"

export const value = text(64)

/** A client of promises. */
export interface Client {
  readonly get: (key: string) => Promise<unknown>
  readonly set: (key: string, value: string) => Promise<unknown>
  readonly mget: (keys: ReadonlyArray<string>) => Promise<unknown>
  /** GETs of keys of several nodes: a pipeline, or all at once where a pipeline is of one node. */
  readonly gets: (keys: ReadonlyArray<string>) => Promise<unknown>
  readonly close: () => Promise<unknown>
}

const operationOf = (open: () => Promise<Client>, client: Client, work: ClusterWork): (() => Promise<unknown>) => {
  const next = keySource()
  switch (work.does) {
    case "get":
      return () => client.get(next.one())
    case "set":
      return () => client.set(next.one(), value)
    case "mget":
      return () => client.mget(next.several(work.count))
    case "pipeline":
      return () => client.gets(next.several(work.count))
    case "connect":
      return async () => {
        const one = await open()
        const reply = await one.get(next.one())
        await one.close()
        return reply
      }
  }
}

const clusterClient = (open: () => Promise<Client>, { close, get }: Client): ClusterClient => ({
  get,
  another: async () => clusterClient(open, await open()),
  close: async () => {
    await close()
  }
})

export const runner = async (open: () => Promise<Client>, work: ClusterWork, inEffect: boolean): Promise<Runner> => {
  const client = await open()
  const operation = operationOf(open, client, work)
  const close = async () => {
    await client.close()
  }
  return {
    ...(inEffect ? effects(() => Effect.tryPromise(operation), Effect.runPromise, close) : promises(operation, close)),
    cluster: clusterClient(open, client)
  }
}
