/**
 * The table of metrics: every name, kind and unit that this package reports. docs/observability.md shows it, and a test
 * compares both with what a program's registry holds. Names that begin with `db.client` are those of OpenTelemetry's
 * conventions.
 */
import type { Instrument } from "../effect/metrics.js"

const metric = (name: string, kind: Instrument["kind"], unit: string, description: string): Instrument => ({
  name,
  kind,
  unit,
  description
})

export const connectionCount = metric(
  "db.client.connection.count",
  "upDown",
  "{connection}",
  "Connections of a pool, by state"
)
export const connectionMax = metric(
  "db.client.connection.max",
  "upDown",
  "{connection}",
  "Connections that a pool may have"
)
export const idleMax = metric(
  "db.client.connection.idle.max",
  "upDown",
  "{connection}",
  "Idle connections that a pool may have"
)
export const idleMin = metric(
  "db.client.connection.idle.min",
  "upDown",
  "{connection}",
  "Idle connections that a pool keeps"
)
export const pendingRequests = metric(
  "db.client.connection.pending_requests",
  "upDown",
  "{request}",
  "Callers that wait for a connection of a pool"
)
export const timeouts = metric(
  "db.client.connection.timeouts",
  "counter",
  "{timeout}",
  "Callers that waited for a connection of a pool for too long"
)
export const createTime = metric(
  "db.client.connection.create_time",
  "histogram",
  "s",
  "How long opening a connection took, with its handshake"
)
export const waitTime = metric(
  "db.client.connection.wait_time",
  "histogram",
  "s",
  "How long a caller waited for a connection of a pool"
)
export const useTime = metric(
  "db.client.connection.use_time",
  "histogram",
  "s",
  "How long a caller held a connection of a pool"
)
export const operationDuration = metric(
  "db.client.operation.duration",
  "histogram",
  "s",
  "How long commands, pipelines and transactions took"
)
export const connectionsOpen = metric(
  "redis.client.connections",
  "upDown",
  "{connection}",
  "Open connections of any kind: shared, of pools, for subscriptions"
)
export const connectionsClosed = metric(
  "redis.client.connection.closed",
  "counter",
  "{connection}",
  "Connections that ended, by reason"
)
export const connectFailures = metric(
  "redis.client.connection.failures",
  "counter",
  "{attempt}",
  "Attempts to connect that failed"
)
export const reconnects = metric(
  "redis.client.reconnects",
  "counter",
  "{connection}",
  "Connections that took the place of a lost one"
)
export const inFlight = metric(
  "redis.client.in_flight",
  "upDown",
  "{command}",
  "Replies that are owed; looked at every 20 ms while there are any"
)
export const queueCommands = metric(
  "redis.client.queue.commands",
  "upDown",
  "{command}",
  "Commands that wait unsent; looked at every 20 ms"
)
export const queueBytes = metric(
  "redis.client.queue.bytes",
  "upDown",
  "By",
  "Bytes of commands that wait unsent; looked at every 20 ms"
)
export const retries = metric("redis.client.retries", "counter", "{retry}", "Commands that were sent again, by reason")
export const redirections = metric(
  "redis.client.redirections",
  "counter",
  "{redirection}",
  "Commands that a node of a cluster sent elsewhere, by kind"
)
export const errors = metric("redis.client.errors", "counter", "{error}", "Failures that callers were given, by type")
export const messages = metric(
  "redis.client.pubsub.messages",
  "counter",
  "{message}",
  "Messages that were handed to subscriptions"
)
export const dropped = metric(
  "redis.client.pubsub.dropped",
  "counter",
  "{message}",
  "Messages that a slow subscription did not take in time"
)
export const streamLag = metric(
  "redis.client.stream.lag",
  "histogram",
  "s",
  "How old an entry of a stream was, by its id, when a worker took it up"
)
export const streamInHand = metric(
  "redis.client.stream.in_hand",
  "upDown",
  "{entry}",
  "Entries that workers have read and not acknowledged"
)
