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
import { ConnectionError, DeadlineError, PartialError, type RedisError, type UsageError } from "../../RedisError.js"
import { decode, undecoded } from "../command/command.js"
import type { BatchOptions, BatchResult, ReadFrom, RedisCommand } from "../command/model.js"
import { exitOf } from "../effect/atCaller.js"
import * as Timers from "../engine/timers.js"
import type { Member } from "../nodes/member.js"
import { unsendable } from "../request/batchRequest.js"
import { observedAs, reportFailures, reportRetry, type Watching } from "../request/observed.js"
import { allowedFor } from "../request/prepare.js"
import { EncodeFailure, encode, nameless } from "../resp/encoder.js"
import { isWellFormed } from "../resp/text.js"
import type { Reply } from "../resp/values.js"
import { notify } from "../telemetry/observer.js"
import { joinNodes, joinParts } from "./join.js"
import type { Part, Plan } from "./plan.js"
import { type Redirection, refusalOf } from "./redirection.js"
import { askingCommand, type Router } from "./router.js"

/** Commands on their way, each to one node. */
interface Items {
  readonly commands: ReadonlyArray<RedisCommand<unknown>>
  /** The slots of their keys; nothing for a command that goes to any node. */
  readonly slots: ReadonlyArray<number | undefined>
  /** The one node that is meant, whatever the topology says, by the command's place. */
  readonly members: ReadonlyMap<number, Member>
}

type Result = Exit.Exit<unknown, RedisError>

/** Runs commands of one node or of many. Each command has its own result. */
export const sendBatch = (
  router: Router,
  commands: ReadonlyArray<RedisCommand<unknown>>,
  plans: ReadonlyArray<Plan>,
  options: BatchOptions,
  from: ReadFrom
): Effect.Effect<BatchResult, RedisError> =>
  // The Effect may be run again, much later: its deadline, its nodes and its results are those of one run.
  observedAs(router, commands, (watch) => run(router, commands, plans, options, from, watch))

const run = (
  router: Router,
  commands: ReadonlyArray<RedisCommand<unknown>>,
  plans: ReadonlyArray<Plan>,
  options: BatchOptions,
  from: ReadFrom,
  watch: Watching | null
): Effect.Effect<BatchResult, RedisError> => {
  const items: Array<RedisCommand<unknown>> = []
  const slots: Array<number | undefined> = []
  const members = new Map<number, Member>()
  /** Of commands that have several items: how their result is made of those. */
  const joins: Array<{ readonly at: number; readonly count: number; readonly join: Join }> = []
  for (let i = 0; i < commands.length; i++) {
    const command = commands[i] as RedisCommand<unknown>
    const problem = problemOf(command)
    if (problem !== undefined) {
      // Later, other nodes would have got their commands already.
      return Effect.fail(problem)
    }
    const plan = plans[i] as Plan
    switch (plan._tag) {
      case "Refused":
        return Effect.fail(plan.error)
      case "Slot":
        items.push(command)
        slots.push(plan.slot)
        break
      case "Any":
        items.push(command)
        slots.push(undefined)
        break
      case "Split": {
        const { parts } = plan
        const join: Join = (exits) =>
          joined(
            command,
            exits,
            (at) => `slot ${(parts[at] as Part).slot}`,
            (replies) =>
              joinParts(
                command,
                parts.map(({ places }, i) => ({ places, reply: replies[i] as Reply }))
              )
          )
        joins.push({ at: i, count: parts.length, join })
        for (const { command, slot } of parts) {
          items.push(command)
          slots.push(slot)
        }
        break
      }
      case "Fan": {
        const nodes = plan.to === "primaries" ? router.allPrimaries : router.allNodes
        const part = undecoded(command)
        const join: Join = (exits) =>
          joined(
            command,
            exits,
            (at) => (nodes[at] as Member).address,
            (replies) => joinNodes(command, replies)
          )
        joins.push({ at: i, count: nodes.length, join })
        for (const member of nodes) {
          members.set(items.length, member)
          items.push(part)
          slots.push(undefined)
        }
      }
    }
  }
  const allowed = options.deadline ?? allowedFor(commands, options, router.replyTimeout)
  // A program reads what it has just written, so one write sends all of a batch to primaries.
  const reads = from === "primary" || commands.every(({ traits }) => traits.readonly) ? from : "primary"
  return Effect.map(
    sendItems(router, { commands: items, slots, members }, allowed, options.deadline, reads, watch),
    (items) => {
      const exits = joins.length === 0 ? items : joinAll(commands.length, items, joins)
      reportFailures(router.observer, exits)
      return { outcome: "executed", exits }
    }
  )
}

/** Why a command cannot be encoded. */
const problemOf = (command: RedisCommand<unknown>): UsageError | undefined => {
  if (command.args.every(({ data }) => typeof data !== "string" || isWellFormed(data))) {
    return undefined
  }
  const failure = encode(nameless, command.args)
  return failure instanceof EncodeFailure ? unsendable(command, failure) : undefined
}

/** The result of a command from those of its items. */
type Join = (exits: ReadonlyArray<Result>) => Result

const joinAll = (
  count: number,
  exits: ReadonlyArray<Result>,
  joins: ReadonlyArray<{ readonly at: number; readonly count: number; readonly join: Join }>
): ReadonlyArray<Result> => {
  const results: Array<Result> = []
  let next = 0
  let item = 0
  for (let i = 0; i < count; i++) {
    const several = joins[next]
    if (several?.at === i) {
      next++
      results.push(several.join(exits.slice(item, item + several.count)))
      item += several.count
    } else {
      results.push(exits[item++] as Result)
    }
  }
  return results
}

/** One result from those of the parts of a command. */
const joined = (
  command: RedisCommand<unknown>,
  exits: ReadonlyArray<Result>,
  serverOf: (at: number) => string,
  join: (replies: ReadonlyArray<Reply>) => Reply
): Result => {
  const replies: Array<Reply> = []
  for (const exit of exits) {
    if (exit._tag === "Success") {
      replies.push(exit.value as Reply)
    }
  }
  if (exits.length === 0) {
    return Exit.fail(noNode(command.name))
  }
  if (replies.length === exits.length) {
    return decode(command, join(replies))
  }
  const died = exits.find((exit) => Exit.isFailure(exit) && errorOf(exit) === undefined)
  if (died !== undefined) {
    return died
  }
  const failures = exits.flatMap((exit, at) => {
    const error = errorOf(exit)
    return error === undefined ? [] : [{ server: serverOf(at), error }]
  })
  const [first] = failures as [(typeof failures)[number]]
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
  /** The node that imports its slot, which must be sent ASKING first. */
  readonly asked: Member | undefined
  readonly pause: number
}

/**
 * Commands that go to a node in one piece. What is for one node alone must not go elsewhere together with what is not, so a
 * node may get several groups, in the order of the commands.
 */
interface Group {
  readonly member: Member
  /** Another node may get them. */
  readonly movable: boolean
  readonly places: Array<number>
}

const sendItems = (
  router: Router,
  items: Items,
  allowed: number,
  given: number | undefined,
  from: ReadFrom,
  watch: Watching | null
): Effect.Effect<ReadonlyArray<Result>> => {
  const { commands, members, slots } = items
  const exits = new Array<Result>(commands.length)
  const until = Timers.now() + allowed
  const round = (
    places: ReadonlyArray<number>,
    last: ReadonlyMap<number, Again>,
    refusals: number
  ): Effect.Effect<void> =>
    Effect.async<void>((resume) => {
      // What is sent for the first time has its own deadlines. One that is given means that silence is no sign of a dead peer.
      const deadline = refusals === 0 || allowed === Infinity ? given : Math.max(Math.round(until - Timers.now()), 1)
      const refused = new Map<number, Again>()
      const groups: Array<Group> = []
      const newest = new Map<Member, Group>()
      for (const at of places) {
        const slot = slots[at]
        const only = members.get(at)
        const target =
          last.get(at)?.asked ?? only ?? (slot === undefined ? router.anyMember : router.readerOf(slot, from))
        if (target === undefined) {
          router.doubt()
          exits[at] = Exit.fail(noNode((commands[at] as RedisCommand<unknown>).name))
          if (refusals < router.maxRedirects) {
            refused.set(at, { asked: undefined, pause: pauseFor("Down", refusals) })
          }
          continue
        }
        const movable = only === undefined
        const group = newest.get(target)
        if (group?.movable === movable) {
          group.places.push(at)
        } else {
          const next = { member: target, movable, places: [at] }
          groups.push(next)
          newest.set(target, next)
        }
      }
      const note = (member: Member, at: number, exit: Result): void => {
        exits[at] = exit
        const again =
          exit._tag === "Failure" && refusals < router.maxRedirects
            ? refusal(router, member, items, at, exit, refusals)
            : undefined
        if (again !== undefined) {
          const command = commands[at] as RedisCommand<unknown>
          const error = errorOf(exit)
          const code = error?._tag === "ReplyError" ? error.code : undefined
          const sent = { attempts: refusals + 1, commands: [command], watch: watch ?? undefined }
          reportRetry(router.observer, sent, member.address, code)
        }
        if (again !== undefined) {
          refused.set(at, again)
        }
      }
      const done = (): Effect.Effect<void> => (refused.size === 0 ? Effect.void : again(refused, refusals))
      let open = groups.length
      if (open === 0) {
        return resume(done())
      }
      const withdrawals: Array<Effect.Effect<void>> = []
      const nodes = newest.size
      for (const { member, movable, places } of groups) {
        const { answers, sent } = sendable(places, commands, last)
        const ended = watch?.part({ commands: sent, server: member.address, nodes })
        const withdrawal = member.submit(
          sent,
          { atomic: false, deadline },
          movable,
          (result) => {
            const answered = exitOf(result)
            notify(ended, answered)
            for (let i = 0; i < places.length; i++) {
              const exit = answered._tag === "Success" ? answered.value.exits[answers?.[i] ?? i] : answered
              note(member, places[i] as number, exit as Result)
            }
            open--
            if (open === 0) {
              resume(done())
            }
          },
          watch
        )
        if (withdrawal !== undefined) {
          withdrawals.push(withdrawal)
        }
      }
      return withdrawals.length === 0 ? undefined : Effect.all(withdrawals, { discard: true })
    })
  const again = (refused: ReadonlyMap<number, Again>, refusals: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const pause = Math.max(...[...refused.values()].map(({ pause }) => pause))
      if (Timers.now() + pause >= until) {
        for (const at of refused.keys()) {
          exits[at] = Exit.fail(late((commands[at] as RedisCommand<unknown>).name, allowed, exits[at] as Result))
        }
        return Effect.void
      }
      const places = [...refused.keys()].sort((a, b) => a - b)
      const next = round(places, refused, refusals + 1)
      return pause === 0 ? next : Effect.zipRight(sleep(pause), next)
    })
  return Effect.as(round([...commands.keys()], new Map(), 0), exits)
}

/** By the clock of the connections, which a test's clock does not move. */
export const sleep = (millis: number): Effect.Effect<void> =>
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

/** What is sent for a group, and where among it each command's answer is: where nothing is said, in the group's order. */
const sendable = (
  group: ReadonlyArray<number>,
  commands: ReadonlyArray<RedisCommand<unknown>>,
  last: ReadonlyMap<number, Again>
): { readonly sent: ReadonlyArray<RedisCommand<unknown>>; readonly answers: ReadonlyArray<number> | undefined } => {
  const sent: Array<RedisCommand<unknown>> = []
  if (last.size === 0) {
    for (const at of group) {
      sent.push(commands[at] as RedisCommand<unknown>)
    }
    return { sent, answers: undefined }
  }
  const answers: Array<number> = []
  for (const at of group) {
    if (last.get(at)?.asked !== undefined) {
      sent.push(askingCommand)
    }
    answers.push(sent.length)
    sent.push(commands[at] as RedisCommand<unknown>)
  }
  return { sent, answers }
}

/** How a refused item is sent again; `undefined` when its result stands. */
const refusal = (
  router: Router,
  member: Member,
  { commands, members, slots }: Items,
  at: number,
  exit: Result,
  refusals: number
): Again | undefined => {
  const command = commands[at] as RedisCommand<unknown>
  const error = errorOf(exit)
  if (error?._tag !== "ReplyError") {
    return undefined
  }
  const message = Redacted.value(error.raw)
  const redirection = refusalOf(command, message)
  if (redirection === undefined) {
    return undefined
  }
  router.doubt()
  if (redirection._tag === "NotReady" && member.replica) {
    member.rest()
  }
  if (redirection._tag !== "Moved" && redirection._tag !== "Ask") {
    return { asked: undefined, pause: pauseFor(redirection._tag, refusals) }
  }
  if (members.has(at) || redirection.slot !== slots[at]) {
    return undefined
  }
  const target = router.follow(redirection, member, command.traits.script !== undefined)
  return target === undefined
    ? undefined
    : { asked: target.asked, pause: Math.max(target.pause, refusals < 2 ? 0 : pauseFor(redirection._tag, refusals)) }
}

const pauseFor = (tag: Redirection["_tag"], refusals: number): number => {
  const [least, most] = tag === "Down" ? [100, 1_000] : tag === "Moved" || tag === "Ask" ? [10, 500] : [50, 500]
  const millis = Math.min(least * 2 ** Math.min(refusals, 16), most)
  return millis / 2 + (Math.random() * millis) / 2
}
