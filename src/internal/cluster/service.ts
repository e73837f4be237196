/**
 * The cluster as the service that commands need. A command with its keys in one slot takes the short way (router.ts); what
 * goes to several nodes is a batch (batch.ts).
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
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
import { type Forker, forkerIn } from "../effect/fork.js"
import { pauseFor } from "../effect/pause.js"
import * as Timers from "../engine/timers.js"
import type { Member } from "../nodes/member.js"
import { blockingMillis, withBlockingMillis } from "../request/blockingTime.js"
import { observedAs } from "../request/observed.js"
import { nothing } from "../request/prepare.js"
import { errorOf, noNode, sendBatch } from "./batch.js"
import { crossSlot } from "./plan.js"
import { redirectionOf, refusalOf } from "./redirection.js"
import type { Router } from "./router.js"
import { scanOver } from "./scan.js"
import { slotOf } from "./slot.js"

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
  lease: Effect.flatMap(Effect.scope, (scope) =>
    Effect.map(forkerIn(scope), (fork) => leaseOf(router, { scope, fork }, status, about))
  ),
  scan: scanOver(router),
  slotOf,
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
  observedAs(router, command, () => blockAt(router, command))

const blockAt = <A>(router: Router, command: RedisCommand<A>): Effect.Effect<A, RedisError> =>
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
        const later = (millis: number, error: RedisError): Effect.Effect<A, RedisError> =>
          refusals >= router.maxRedirects || Timers.now() + millis >= until
            ? Effect.fail(error)
            : Effect.zipRight(pauseFor(millis), attempt(refusals + 1))
        const backoff = Math.min(50 * 2 ** refusals, 1_000)
        if (member === undefined) {
          router.doubt()
          return later(backoff, noNode(command.name))
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
            if (error._tag === "ConnectionError" && error.delivery === "unsent" && member.left) {
              return later(backoff, error)
            }
            const redirection = error._tag === "ReplyError" ? redirectionOf(Redacted.value(error.raw)) : undefined
            if (redirection === undefined || redirection._tag === "NotReady") {
              return Effect.fail(error)
            }
            router.doubt()
            if (redirection._tag === "Moved") {
              router.follow(redirection, member, false)
            }
            return later(redirection._tag === "Moved" && refusals === 0 ? 0 : backoff, error)
          }
        )
      })
    return attempt(0)
  })

const slotLeft = "the node of this connection does not serve the slot any more; acquire another connection"

/** What commands over a lease need: the slots of their keys, and the name for errors. */
interface Wanted {
  readonly slots: ReadonlyArray<number>
  readonly command: string | undefined
}

const otherNode = (command = "A command"): UsageError =>
  new UsageError({
    reason: "crossSlot",
    command,
    message:
      `${command} was not sent: its keys are on another node than those of the commands before it, and Redis.optimistic, ` +
      "Redis.withReplication and leased connections are of one node; give all keys a hash tag in common"
  })

/**
 * A connection of its own, at the owner of the first key that is used over it. From then on it serves that node's keys
 * only; a command without keys goes there, too.
 */
const leaseOf = (
  router: Router,
  { fork, scope }: { readonly scope: Scope.Scope; readonly fork: Forker },
  status: Subscribable<Status>,
  about: About
): RedisService => {
  let bound: { readonly member: Member; readonly redis: Effect.Effect<RedisService, RedisError> } | undefined
  /** Slots that the node served over this lease. */
  const served = new Set<number>()
  /**
   * Opens the connection once for all who want it, also when those who wanted it first stop waiting for it. When that fails,
   * the next command tries again.
   */
  const opening = (member: Member): Effect.Effect<RedisService, RedisError> => {
    const waiting = new Set<(exit: Exit.Exit<RedisService, RedisError>) => void>()
    let opened: Exit.Exit<RedisService, RedisError> | undefined
    const open = Effect.flatMap(member.ready, ({ service }) => service.lease)
    const redis = Effect.async<RedisService, RedisError>((resume) => {
      if (opened !== undefined) {
        return resume(opened)
      }
      waiting.add(resume)
      return Effect.sync(() => waiting.delete(resume))
    })
    // It may fail before `fork` returns, so the lease is bound first.
    bound = { member, redis }
    fork(
      Effect.onExit(Scope.extend(open, scope), (exit) =>
        Effect.sync(() => {
          opened = exit
          if (Exit.isFailure(exit) && bound?.redis === redis) {
            bound = undefined
          }
          for (const resume of waiting) {
            resume(exit)
          }
        })
      )
    )
    return redis
  }
  const bind = ({ command, slots }: Wanted): Effect.Effect<RedisService, RedisError> =>
    Effect.suspend(() => {
      const [first] = slots
      const member = bound?.member ?? (first === undefined ? router.anyMember : router.ownerOf(first))
      if (member === undefined) {
        return Effect.fail(noNode(command))
      }
      const elsewhere = slots.find((slot) => router.ownerOf(slot) !== member)
      if (elsewhere !== undefined) {
        return Effect.fail(served.has(elsewhere) ? noNode(command, slotLeft) : otherNode(command))
      }
      for (const slot of slots) {
        served.add(slot)
      }
      return bound?.redis ?? opening(member)
    })
  const wanted = (commands: ReadonlyArray<RedisCommand<unknown>>): UsageError | Wanted => {
    const slots = new Set<number>()
    let name: string | undefined
    for (const command of commands) {
      const plan = router.plan(command)
      if (plan._tag === "Split") {
        return crossSlot(command.name)
      }
      if (plan._tag === "Refused" && plan.error.reason === "crossSlot") {
        return plan.error
      }
      if (plan._tag === "Slot") {
        slots.add(plan.slot)
        name ??= command.name
      }
    }
    return { slots: [...slots], command: name ?? commands[0]?.name }
  }
  /** The node of the lease no longer owns the slot, so nothing was executed, and nothing more can be done over the lease. */
  const ended = (error: RedisError, slots: ReadonlyArray<number>, script?: RedisCommand<unknown>): RedisError => {
    if (bound === undefined || error._tag !== "ReplyError") {
      return error
    }
    const message = Redacted.value(error.raw)
    const redirection = script === undefined ? redirectionOf(message) : refusalOf(script, message)
    if (redirection === undefined || redirection._tag === "NotReady") {
      return error
    }
    if (redirection._tag === "Moved" || redirection._tag === "Ask") {
      if (!slots.includes(redirection.slot) || (script !== undefined && !router.isNamed(redirection, bound.member))) {
        // A script answered it.
        return error
      }
      if (redirection._tag === "Moved") {
        router.follow(redirection, bound.member, false)
      }
    }
    router.doubt()
    return noNode(error.command, slotLeft)
  }
  const self: RedisService = {
    send: (command) => {
      const found = wanted([command])
      return "slots" in found
        ? Effect.mapError(
            Effect.flatMap(bind(found), (redis) => redis.send(command)),
            (error) => ended(error, found.slots, command.traits.script === undefined ? undefined : command)
          )
        : Effect.fail(found)
    },
    sendAll: (commands, options) => {
      const found = wanted(commands)
      return "slots" in found
        ? Effect.flatMap(
            Effect.mapError(
              Effect.flatMap(bind(found), (redis) => redis.sendAll(commands, options)),
              (error) => ended(error, found.slots)
            ),
            (result): Effect.Effect<BatchResult, RedisError> => {
              if (result.outcome === "discarded") {
                for (const error of result.exits.map(errorOf)) {
                  const reason = error === undefined ? error : ended(error, found.slots)
                  if (reason !== undefined && reason !== error) {
                    return Effect.fail(reason)
                  }
                }
              }
              return Effect.succeed(result)
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
