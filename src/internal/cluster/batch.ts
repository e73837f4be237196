/**
 * Commands that go to several nodes at once: pipelines, commands that are split by their keys, and commands for all nodes.
 * Each node gets its commands in one write. Commands that a node refused before executing them are sent again, in their
 * order, until each has its result or the deadline has passed.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { ConnectionError, DeadlineError, PartialError, type RedisError } from "../../RedisError.js"
import { decode, undecoded } from "../command/command.js"
import type { BatchOptions, BatchResult, ReadFrom, RedisCommand } from "../command/model.js"
import * as Timers from "../engine/timers.js"
import { allowedFor } from "../request/prepare.js"
import type { Reply } from "../resp/values.js"
import { joinNodes, joinParts } from "./join.js"
import type { Member } from "./member.js"
import type { Plan } from "./plan.js"
import { type Redirection, refusalOf } from "./redirection.js"
import { askingCommand, type Router } from "./router.js"

/** A command on its way to one node. */
interface Item {
  readonly command: RedisCommand<unknown>
  /** The slot of its keys; nothing for a command that goes to any node. */
  readonly slot: number | undefined
  /** The one node that is meant, whatever the topology says. */
  readonly member: Member | undefined
}

type Result = Exit.Exit<unknown, RedisError>

/** Runs commands of one node or of many. Each command has its own result. */
export const sendBatch = (
  router: Router,
  commands: ReadonlyArray<RedisCommand<unknown>>,
  plans: ReadonlyArray<Plan>,
  options: BatchOptions,
  from: ReadFrom
): Effect.Effect<BatchResult, RedisError> => {
  const items: Array<Item> = []
  /** Makes a command's result of the results of its items. */
  const results: Array<(exits: ReadonlyArray<Result>) => Result> = []
  for (const [i, command] of commands.entries()) {
    const plan = plans[i] as Plan
    const at = items.length
    switch (plan._tag) {
      case "Refused":
        return Effect.fail(plan.error)
      case "Slot":
      case "Any":
        items.push({ command, slot: plan._tag === "Slot" ? plan.slot : undefined, member: undefined })
        results.push((exits) => exits[at] as Result)
        break
      case "Split": {
        const { parts } = plan
        for (const { command, slot } of parts) {
          items.push({ command, slot, member: undefined })
        }
        results.push((exits) =>
          joined(
            command,
            exits.slice(at, at + parts.length),
            parts.map(({ slot }) => `slot ${slot}`),
            (replies) =>
              joinParts(
                command,
                parts.map(({ places }, i) => ({ places, reply: replies[i] as Reply }))
              )
          )
        )
        break
      }
      case "Fan": {
        const members = plan.to === "primaries" ? router.allPrimaries : router.allNodes
        const part = undecoded(command)
        for (const member of members) {
          items.push({ command: part, slot: undefined, member })
        }
        results.push((exits) =>
          joined(
            command,
            exits.slice(at, at + members.length),
            members.map(({ address }) => address),
            (replies) => joinNodes(command, replies)
          )
        )
      }
    }
  }
  const allowed = options.deadline ?? allowedFor(commands, options, router.replyTimeout)
  // A program reads what it has just written, so one write sends all of a batch to primaries.
  const reads = commands.every(({ traits }) => traits.readonly) ? from : "primary"
  return Effect.map(sendItems(router, items, allowed, reads), (exits) => ({
    outcome: "executed",
    exits: results.map((result) => result(exits))
  }))
}

/** One result from those of the parts of a command. */
const joined = (
  command: RedisCommand<unknown>,
  exits: ReadonlyArray<Result>,
  servers: ReadonlyArray<string>,
  join: (replies: ReadonlyArray<Reply>) => Reply
): Result => {
  const failures = exits.flatMap((exit, i) => {
    const error = errorOf(exit)
    return error === undefined ? [] : [{ server: servers[i] as string, error }]
  })
  if (exits.length === 0) {
    return Exit.fail(noNode(command.name))
  }
  const [first] = failures
  const died = exits.find((exit) => Exit.isFailure(exit) && errorOf(exit) === undefined)
  if (died !== undefined) {
    return died
  }
  const replies = exits.flatMap((exit) => (Exit.isSuccess(exit) ? [exit.value as Reply] : []))
  if (first === undefined) {
    return decode(command, join(replies))
  }
  if (command.traits.responsePolicy === "one_succeeded") {
    // The script that is to be killed runs on one node.
    return replies.length > 0
      ? decode(command, replies[0] as Reply)
      : Exit.fail(
          (failures.find(({ error }) => error._tag !== "ReplyError" || error.code !== "NOTBUSY") ?? first).error
        )
  }
  return replies.length === 0 && failures.every(({ error }) => isUnexecuted(error))
    ? Exit.fail(first.error)
    : Exit.fail(new PartialError({ command: command.name, succeeded: replies.length, errors: failures }))
}

/** Nothing was executed: the server answered an error, or the command was not sent. */
const isUnexecuted = (error: RedisError): boolean =>
  error._tag === "ReplyError" ||
  error._tag === "UsageError" ||
  error._tag === "OverflowError" ||
  ((error._tag === "ConnectionError" || error._tag === "DeadlineError") && error.delivery === "unsent")

export const errorOf = (exit: Result): RedisError | undefined =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined

export const noNode = (
  command: string | undefined,
  message = "no node of the cluster owns the slot, as far as is known"
): ConnectionError =>
  new ConnectionError({
    reason: "noNode",
    delivery: "unsent",
    message,
    ...(command === undefined ? {} : { command })
  })

/** Where an item is to go after a refusal. */
interface Again {
  readonly at: number
  /** The node that imports its slot, which must be sent ASKING first. */
  readonly asked: Member | undefined
  readonly pause: number
}

const sendItems = (
  router: Router,
  items: ReadonlyArray<Item>,
  allowed: number,
  from: ReadFrom
): Effect.Effect<ReadonlyArray<Result>, RedisError> => {
  const exits = new Array<Result>(items.length)
  const until = Timers.now() + allowed
  const round = (places: ReadonlyArray<Again>, refusals: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const left = until - Timers.now()
      const refused: Array<Again> = []
      // What is for one node alone must not go elsewhere together with what is not.
      const movable = new Map<Member, Array<Again>>()
      const alone = new Map<Member, Array<Again>>()
      for (const again of places) {
        const { command, member, slot } = items[again.at] as Item
        const target = again.asked ?? member ?? (slot === undefined ? router.anyMember : router.readerOf(slot, from))
        if (target === undefined) {
          router.doubt()
          exits[again.at] = Exit.fail(noNode(command.name))
          if (refusals < router.maxRedirects) {
            refused.push({ at: again.at, asked: undefined, pause: pauseFor({ _tag: "Down" }, refusals) })
          }
          continue
        }
        const groups = member === undefined ? movable : alone
        const group = groups.get(target)
        group === undefined ? groups.set(target, [again]) : group.push(again)
      }
      const sent = Effect.forEach(
        [...movable, ...alone],
        ([target, group]) =>
          Effect.map(
            Effect.exit(
              sendGroup(target, group, items, allowed === Infinity ? undefined : Math.max(Math.round(left), 1))
            ),
            (answers) => {
              for (const [i, again] of group.entries()) {
                const exit = Exit.isSuccess(answers) ? (answers.value[i] as Result) : answers
                const next =
                  refusals < router.maxRedirects
                    ? refusal(router, target, items[again.at] as Item, exit, refusals)
                    : undefined
                if (next === undefined) {
                  exits[again.at] = exit
                } else {
                  refused.push({ at: again.at, ...next })
                  exits[again.at] = exit
                }
              }
            }
          ),
        { concurrency: "unbounded", discard: true }
      )
      return Effect.flatMap(sent, () => {
        if (refused.length === 0) {
          return Effect.void
        }
        refused.sort((a, b) => a.at - b.at)
        const pause = Math.max(...refused.map(({ pause }) => pause))
        if (Timers.now() + pause >= until) {
          for (const { at } of refused) {
            exits[at] = Exit.fail(late((items[at] as Item).command.name, allowed, exits[at] as Result))
          }
          return Effect.void
        }
        const next = round(refused, refusals + 1)
        return pause === 0 ? next : Effect.zipRight(sleep(pause), next)
      })
    })
  return Effect.as(
    round(
      items.map((_, at) => ({ at, asked: undefined, pause: 0 })),
      0
    ),
    exits
  )
}

/** By the clock of the connections, which a test's clock does not move. */
const sleep = (millis: number): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const timer = Timers.setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => Timers.clearTimeout(timer))
  })

const late = (command: string, milliseconds: number, last: Result): RedisError => {
  const error = errorOf(last)
  return new DeadlineError({
    phase: "queue",
    delivery: "unsent",
    milliseconds: Math.round(milliseconds),
    command,
    ...(error === undefined ? {} : { hint: error.message })
  })
}

const sendGroup = (
  member: Member,
  group: ReadonlyArray<Again>,
  items: ReadonlyArray<Item>,
  deadline: number | undefined
): Effect.Effect<ReadonlyArray<Result>, RedisError> => {
  const commands = group.flatMap(({ asked, at }) => {
    const { command } = items[at] as Item
    return asked === undefined ? [command] : [askingCommand, command]
  })
  const movable = group.every(({ at }) => items[at]?.member === undefined)
  return Effect.map(member.sendAll(commands, { atomic: false, deadline }, movable), ({ exits }) => {
    const answers: Array<Result> = []
    let i = 0
    for (const { asked } of group) {
      i += asked === undefined ? 0 : 1
      answers.push(exits[i] as Result)
      i++
    }
    return answers
  })
}

/** How a refused item is sent again; `undefined` when its result stands. */
const refusal = (
  router: Router,
  member: Member,
  item: Item,
  exit: Result,
  refusals: number
): { readonly asked: Member | undefined; readonly pause: number } | undefined => {
  const error = errorOf(exit)
  if (error?._tag !== "ReplyError") {
    return undefined
  }
  const message = Redacted.value(error.raw)
  const redirection = refusalOf(item.command, message)
  if (redirection === undefined) {
    return undefined
  }
  router.doubt()
  if (redirection._tag === "NotReady" && member.replica) {
    member.rest()
  }
  if (redirection._tag !== "Moved" && redirection._tag !== "Ask") {
    return { asked: undefined, pause: pauseFor(redirection, refusals) }
  }
  if (item.member !== undefined || redirection.slot !== item.slot) {
    return undefined
  }
  const target = router.follow(redirection, member, item.command.traits.script !== undefined)
  return target === undefined
    ? undefined
    : { asked: target.asked, pause: Math.max(target.pause, refusals < 2 ? 0 : pauseFor(redirection, refusals)) }
}

const pauseFor = ({ _tag }: Redirection, refusals: number): number => {
  const [least, most] = _tag === "Down" ? [100, 1_000] : _tag === "Moved" || _tag === "Ask" ? [10, 500] : [50, 500]
  const millis = Math.min(least * 2 ** Math.min(refusals, 16), most)
  return millis / 2 + (Math.random() * millis) / 2
}
