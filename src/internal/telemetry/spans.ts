/**
 * Spans of requests and of attempts to connect, under the names of OpenTelemetry's conventions for database clients. A span is
 * opened where the request is accepted and ended where its caller is given the result; both are plain callbacks, because a
 * span by `Effect.withSpan` costs several times as much as a command.
 */
import * as Exit from "effect/Exit"
import type { RedisError } from "../../RedisError.js"
import { finiteName } from "../command/command.js"
import type { BatchResult, RedisCommand } from "../command/model.js"
import { currentFiber } from "../effect/fork.js"
import { isTraced, type OpenSpan, openSpan } from "../effect/tracing.js"
import * as Timers from "../engine/timers.js"
import { errorIn, errorType, outcomeOf } from "./errorType.js"
import type { Ended, Observer, RequestPart, RequestStart, RequestWatch, Retry } from "./observer.js"
import type { ResolvedTelemetry } from "./options.js"
import { serverAttributes } from "./server.js"

export interface SpanSettings extends ResolvedTelemetry {
  readonly database: number
}

/** Opens a span below the fiber's, or below another one. */
type Open = (operation: string, server: string, parent?: OpenSpan) => OpenSpan | undefined

/** An observer that opens spans. */
export const spansOf = (settings: SpanSettings): Observer => {
  const roots = settings.spans === "all"
  const watches = (): boolean => {
    const fiber = currentFiber()
    return fiber !== undefined && isTraced(fiber, roots)
  }
  const open: Open = (operation, server, parent) => {
    const fiber = currentFiber()
    if (fiber === undefined) {
      return undefined
    }
    const span = openSpan(fiber, operation, parent)
    span.attribute("db.system.name", settings.system)
    span.attribute("db.operation.name", operation)
    span.attribute("db.namespace", String(settings.database))
    showServer(span, server)
    for (const [key, value] of settings.attributes) {
      span.attribute(key, value)
    }
    return span
  }
  return {
    watches,
    request: (start) => {
      const { atomic, commands, server } = start
      const [first] = commands
      if (first === undefined || commands.every(({ name }) => settings.exclude.has(name))) {
        return undefined
      }
      const span = open(operationOf(commands, atomic), server)
      return span === undefined ? undefined : new RequestSpan(span, start, settings, open)
    },
    ...(roots
      ? {
          attempt: ({ server }) => {
            if (!watches()) {
              return undefined
            }
            const span = open("CONNECT", server)
            return (exit) => {
              if (span !== undefined) {
                showError(span, exit)
                span.end(Exit.asVoid(exit))
              }
            }
          }
        }
      : {})
  }
}

/** The attributes of servers, by their address. A client meets few of them. */
const servers = new Map<string, ReadonlyArray<readonly [string, unknown]>>()
const mostServers = 1_000

const showServer = (span: OpenSpan, server: string): void => {
  let attributes = servers.get(server)
  if (attributes === undefined) {
    attributes = Object.entries(serverAttributes(server))
    if (servers.size < mostServers) {
      servers.set(server, attributes)
    }
  }
  for (const [key, value] of attributes) {
    span.attribute(key, value)
  }
}

/** The name of a command; of several, what they are, with the command's name where all are the same. */
const operationOf = (commands: ReadonlyArray<RedisCommand<unknown>>, atomic: boolean): string => {
  if (commands.length === 1 && !atomic) {
    return finiteName((commands[0] as RedisCommand<unknown>).name)
  }
  const [first, ...others] = commands.map(({ name }) => finiteName(name))
  const kind = atomic ? "MULTI" : commands.length > 1 ? "PIPELINE" : ""
  const shared = first !== undefined && others.every((name) => name === first) ? first : ""
  return kind === "" || shared === "" ? kind || shared : `${kind} ${shared}`
}

class RequestSpan implements RequestWatch {
  readonly untilInterrupted = true
  private readonly began = Timers.now()
  private server: string
  private readonly isBatch: boolean
  private isHanded = false
  private retries = 0

  constructor(
    private readonly span: OpenSpan,
    { batch, commands, server }: RequestStart,
    private readonly settings: SpanSettings,
    private readonly open: Open
  ) {
    this.server = server
    this.isBatch = batch
    if (commands.length > 1) {
      span.attribute("db.operation.batch.size", commands.length)
    } else {
      const [command] = commands as [RedisCommand<unknown>]
      const procedure = procedureOf(command)
      if (procedure !== undefined) {
        span.attribute("db.stored_procedure.name", procedure)
      }
      if (command.traits.blocking !== undefined) {
        span.attribute("redis.blocking", true)
      }
    }
    showText(span, commands, settings)
  }

  handed(server: string): void {
    if (!this.isHanded) {
      this.isHanded = true
      const waited = Timers.now() - this.began
      if (waited >= 1) {
        this.span.attribute("redis.client.queued", Math.round(waited))
      }
    }
    if (server !== this.server) {
      this.server = server
      showServer(this.span, server)
      if (serverAttributes(server)["server.port"] === undefined) {
        // The port of the server before must not stay.
        this.span.attribute("server.port", 6379)
      }
    }
  }

  retry({ code, reason, server }: Retry): void {
    this.retries++
    if (this.retries > mostEvents) {
      return
    }
    if (code === "MOVED" || code === "ASK") {
      this.span.event("redis.redirect", { kind: code, "server.address": server })
    } else {
      this.span.event("redis.retry", { reason, ...(code === undefined ? {} : { "db.response.status_code": code }) })
    }
  }

  private nodes = 0

  part({ commands, nodes, server }: RequestPart): Ended<RedisError> | undefined {
    if (this.nodes === 0) {
      this.nodes = nodes
      if (nodes > 1) {
        this.span.attribute("redis.nodes", nodes)
      }
    }
    if (!this.settings.nodes || nodes < 2) {
      return undefined
    }
    const span = this.open(operationOf(commands, false), server, this.span)
    if (span === undefined) {
      return undefined
    }
    if (commands.length > 1) {
      span.attribute("db.operation.batch.size", commands.length)
    }
    showText(span, commands, this.settings)
    return (exit) => {
      const outcome = outcomeOf(exit)
      showError(span, outcome)
      span.end(Exit.asVoid(outcome))
    }
  }

  ended(exit: Exit.Exit<unknown, RedisError>): void {
    const { span } = this
    if (this.retries > 0) {
      span.attribute("redis.client.retries", this.retries)
    }
    if (this.isBatch && exit._tag === "Success") {
      this.showParts(exit.value as BatchResult)
    }
    const outcome = this.isBatch ? outcomeOf(exit) : exit
    showError(span, outcome)
    // A tracer gets no value of the user's.
    span.end(Exit.asVoid(outcome))
  }

  /** Each failed command of a batch is an event. */
  private showParts(result: BatchResult): void {
    if (result.outcome !== "executed") {
      this.span.attribute("redis.transaction.outcome", result.outcome)
    }
    let events = 0
    for (const [index, exit] of result.exits.entries()) {
      const error = errorIn(exit)
      if (error !== undefined && events++ < mostEvents) {
        this.span.event("redis.error", { index, "error.type": errorType(error) })
      }
    }
  }
}

/** How many events of one kind a span has at most. */
const mostEvents = 32

const showError = (span: OpenSpan, exit: Exit.Exit<unknown, RedisError>): void => {
  const error = errorIn(exit)
  if (error === undefined) {
    return
  }
  span.attribute("error.type", errorType(error))
  if (error._tag === "ReplyError") {
    span.attribute("db.response.status_code", errorType(error))
  }
  if (error._tag === "ConnectionError" || error._tag === "DeadlineError") {
    span.attribute("redis.client.delivery", error.delivery)
  }
}

/** The name of a `RedisFunction`, which is the program's own word, or the SHA1 of a script. */
const procedureOf = ({ args: [first], traits }: RedisCommand<unknown>): string | undefined => {
  const name = first?.data
  const isShown =
    traits.script === "function"
      ? first?.kind === "token"
      : traits.script === "sha" && typeof name === "string" && /^[0-9a-f]{40}$/i.test(name)
  return isShown && typeof name === "string" ? name : undefined
}

const showText = (
  span: OpenSpan,
  commands: ReadonlyArray<RedisCommand<unknown>>,
  { queryText }: SpanSettings
): void => {
  if (queryText !== "off") {
    span.attribute("db.query.text", textOf(commands, queryText === "keys"))
  }
}

/** The longest `db.query.text`, in characters. */
const longestText = 1_000

const textOf = (commands: ReadonlyArray<RedisCommand<unknown>>, withKeys: boolean): string => {
  let text = ""
  for (const { args, name } of commands) {
    text += `${text === "" ? "" : "; "}${finiteName(name)}`
    for (const { data, kind } of args) {
      const isShown = kind === "token" || (withKeys && (kind === "key" || kind === "keyPrefix" || kind === "pattern"))
      text += ` ${isShown && typeof data === "string" ? data : "?"}`
      if (text.length > longestText) {
        return `${text.slice(0, longestText)}…`
      }
    }
  }
  return text
}
