/**
 * The cluster as the service that commands need. A command with its keys in one slot takes the short way (router.ts); what
 * goes to several nodes is a batch (batch.ts).
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { type RedisError, UsageError } from "../../RedisError.js"
import { refuse } from "../client/node.js"
import { refuseShared } from "../client/shared.js"
import { reword } from "../command/command.js"
import type {
  About,
  BatchOptions,
  BatchResult,
  ReadFrom,
  RedisCommand,
  RedisService,
  Status
} from "../command/model.js"
import type { Subscribable } from "../effect/callbackStream.js"
import * as Timers from "../engine/timers.js"
import { blockingMillis, withBlockingMillis } from "../request/blockingTime.js"
import { nothing } from "../request/prepare.js"
import { errorOf, noNode, sendBatch } from "./batch.js"
import type { Member } from "./member.js"
import { crossSlot } from "./plan.js"
import { redirectionOf } from "./redirection.js"
import type { Router } from "./router.js"
import { scanOver } from "./scan.js"

export const serviceOf = (
  router: Router,
  status: Subscribable<Status>,
  about: About,
  from: ReadFrom
): RedisService => ({
  send: (command) => {
    const { blocking, stateful } = command.traits
    return stateful === undefined && blocking === undefined
      ? send(router, command, from)
      : sendUnshared(router, command, from)
  },
  sendAll: (commands, options) => sendAll(router, commands, options, from),
  lease: Effect.map(Effect.scope, (scope) => leaseOf(router, scope, status, about)),
  scan: scanOver(router),
  readFrom: (from) => serviceOf(router, status, about, from),
  status,
  about
})

const send = <A>(router: Router, command: RedisCommand<A>, from: ReadFrom): Effect.Effect<A, RedisError> => {
  const plan = router.plan(command)
  switch (plan._tag) {
    case "Slot":
      return from === "primary" || !command.traits.readonly
        ? router.send(command, plan.slot)
        : router.read(command, plan.slot, from)
    case "Any":
      return router.send(command, undefined)
    case "Refused":
      return Effect.fail(command.problem ?? plan.error)
    default:
      return command.problem !== undefined
        ? Effect.fail(command.problem)
        : Effect.flatMap(
            sendBatch(router, [command], [plan], { atomic: false, deadline: command.deadline }, from),
            ({ exits }) => exits[0] as Exit.Exit<A, RedisError>
          )
  }
}

const sendAll = (
  router: Router,
  commands: ReadonlyArray<RedisCommand<unknown>>,
  options: BatchOptions,
  from: ReadFrom
): Effect.Effect<BatchResult, RedisError> => {
  if (commands.length === 0) {
    return Effect.succeed(nothing)
  }
  for (const command of commands) {
    const refusal = command.problem ?? refuseShared(command)
    if (refusal !== undefined) {
      return Effect.fail(refusal)
    }
  }
  const plans = commands.map((command) => router.plan(command))
  if (!options.atomic) {
    return sendBatch(router, commands, plans, options, from)
  }
  let slot: number | undefined
  for (const [i, plan] of plans.entries()) {
    const command = commands[i] as RedisCommand<unknown>
    if (plan._tag === "Refused") {
      return Effect.fail(plan.error)
    }
    if (plan._tag === "Split" || (plan._tag === "Slot" && slot !== undefined && slot !== plan.slot)) {
      return Effect.fail(crossSlot(plan._tag === "Split" ? command.name : "EXEC"))
    }
    if (plan._tag === "Fan") {
      return Effect.fail(
        new UsageError({
          reason: "refusedCommand",
          command: command.name,
          message: `${command.name} was not sent: it goes to several nodes of the cluster, and a transaction is of one`
        })
      )
    }
    slot = plan._tag === "Slot" ? plan.slot : slot
  }
  return router.sendTransaction(commands, slot, options.deadline)
}

/** Blocking commands have a connection of their own at the owner of their slot; when the slot moves, they go on there. */
const sendUnshared = <A>(router: Router, command: RedisCommand<A>, from: ReadFrom): Effect.Effect<A, RedisError> => {
  const refusal = refuse(command)
  if (refusal !== undefined) {
    return Effect.fail(refusal)
  }
  return blockingMillis(command) === undefined ? send(router, command, from) : block(router, command)
}

const block = <A>(router: Router, command: RedisCommand<A>): Effect.Effect<A, RedisError> =>
  Effect.suspend(() => {
    const plan = router.plan(command)
    if (plan._tag === "Refused") {
      return Effect.fail(plan.error)
    }
    const slot = plan._tag === "Slot" ? plan.slot : undefined
    const until = Timers.now() + (command.deadline ?? Infinity)
    const blocksUntil = Timers.now() + (blockingMillis(command) ?? Infinity)
    const attempt = (refusals: number): Effect.Effect<A, RedisError> =>
      Effect.suspend(() => {
        const member = slot === undefined ? router.anyMember : router.ownerOf(slot)
        if (member === undefined) {
          return Effect.fail(noNode(command.name))
        }
        const again =
          refusals === 0 || blocksUntil === Infinity
            ? command
            : withBlockingMillis(command, Math.max(blocksUntil - Timers.now(), 1))
        const rest =
          command.deadline === undefined ? again : reword(again, { deadline: Math.max(until - Timers.now(), 1) })
        return Effect.catchAll(
          Effect.flatMap(member.ready, ({ service }) => service.send(rest)),
          (error): Effect.Effect<A, RedisError> => {
            const redirection = error._tag === "ReplyError" ? redirectionOf(Redacted.value(error.raw)) : undefined
            if (redirection === undefined || refusals >= router.maxRedirects || redirection._tag === "NotReady") {
              return Effect.fail(error)
            }
            router.doubt()
            if (redirection._tag === "Moved") {
              router.follow(redirection, member, false)
            }
            const pause = redirection._tag === "Moved" && refusals === 0 ? 0 : Math.min(50 * 2 ** refusals, 1_000)
            return Timers.now() + pause >= until
              ? Effect.fail(error)
              : Effect.zipRight(pauseFor(pause), attempt(refusals + 1))
          }
        )
      })
    return attempt(0)
  })

const pauseFor = (millis: number): Effect.Effect<void> =>
  millis === 0
    ? Effect.void
    : Effect.async<void>((resume) => {
        const timer = Timers.setTimeout(() => resume(Effect.void), millis)
        return Effect.sync(() => Timers.clearTimeout(timer))
      })

/**
 * A connection of its own, at the owner of the first key that is used over it. From then on it serves that node's keys
 * only; a command without keys goes there, too.
 */
const leaseOf = (router: Router, scope: Scope.Scope, status: Subscribable<Status>, about: About): RedisService => {
  let bound: { readonly member: Member; readonly redis: Effect.Effect<RedisService, RedisError> } | undefined
  const bind = (slot: number | undefined, command: string): Effect.Effect<RedisService, RedisError> =>
    Effect.suspend(() => {
      if (bound !== undefined) {
        return slot === undefined || router.ownerOf(slot) === bound.member
          ? bound.redis
          : Effect.fail(
              new UsageError({
                reason: "crossSlot",
                command,
                message: `${command} was not sent: its keys are on another node; a leased connection is of the node that its first command went to`
              })
            )
      }
      const member = slot === undefined ? router.anyMember : router.ownerOf(slot)
      if (member === undefined) {
        return Effect.fail(noNode(undefined))
      }
      return Effect.flatMap(
        Effect.cached(
          Scope.extend(
            Effect.flatMap(member.ready, ({ service }) => service.lease),
            scope
          )
        ),
        (redis) => {
          bound ??= { member, redis }
          return bound.redis
        }
      )
    })
  const slotsOf = (
    commands: ReadonlyArray<RedisCommand<unknown>>
  ): UsageError | { readonly slot: number | undefined; readonly command: string } => {
    let slot: number | undefined
    let name = ""
    for (const command of commands) {
      const plan = router.plan(command)
      if (plan._tag === "Split") {
        return crossSlot(command.name)
      }
      if (plan._tag === "Refused" && plan.error.reason === "crossSlot") {
        return plan.error
      }
      if (plan._tag === "Slot" && slot === undefined) {
        slot = plan.slot
        name = command.name
      }
    }
    return { slot, command: name }
  }
  /** The node of the lease no longer owns the slot, so nothing was executed, and nothing more can be done over the lease. */
  const ended = (error: RedisError): RedisError => {
    const redirection = error._tag === "ReplyError" ? redirectionOf(Redacted.value(error.raw)) : undefined
    if (bound === undefined || redirection === undefined || redirection._tag === "NotReady") {
      return error
    }
    router.doubt()
    if (redirection._tag === "Moved") {
      router.follow(redirection, bound.member, false)
    }
    return noNode(
      error._tag === "ReplyError" ? error.command : undefined,
      "the node of this connection does not serve the slot any more; acquire another connection"
    )
  }
  const self: RedisService = {
    send: (command) => {
      const found = slotsOf([command])
      return "slot" in found
        ? Effect.mapError(
            Effect.flatMap(bind(found.slot, found.command), (redis) => redis.send(command)),
            ended
          )
        : Effect.fail(found)
    },
    sendAll: (commands, options) => {
      const found = slotsOf(commands)
      return "slot" in found
        ? Effect.flatMap(
            Effect.mapError(
              Effect.flatMap(bind(found.slot, found.command), (redis) => redis.sendAll(commands, options)),
              ended
            ),
            (result): Effect.Effect<BatchResult, RedisError> => {
              const refused =
                result.outcome === "discarded"
                  ? result.exits.map(errorOf).find((error) => error !== undefined && ended(error) !== error)
                  : undefined
              return refused === undefined ? Effect.succeed(result) : Effect.fail(ended(refused))
            }
          )
        : Effect.fail(found)
    },
    lease: Effect.sync(() => self),
    status,
    about
  }
  return self
}
