/** A server's address as attributes of spans and metrics. */

export interface ServerAttributes {
  readonly "server.address": string
  /** Left out where it is Redis' own. */
  readonly "server.port"?: number
  readonly "network.transport"?: "unix"
}

/** From `host:port`, or the path of a socket. */
export const serverAttributes = (server: string): ServerAttributes => {
  if (server.startsWith("/")) {
    return { "server.address": server, "network.transport": "unix" }
  }
  const end = server.lastIndexOf(":")
  const port = Number(server.slice(end + 1))
  // The seeds of a cluster are several.
  return end === -1 || !Number.isInteger(port) || server.includes(",")
    ? { "server.address": server }
    : port === 6379
      ? { "server.address": server.slice(0, end) }
      : { "server.address": server.slice(0, end), "server.port": port }
}
