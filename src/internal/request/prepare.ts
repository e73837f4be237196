/**
 * From commands to a request: checked and encoded before anything is queued (design law 2). What cannot be sent fails here
 * with a `UsageError`.
 */
import type { UsageError } from "../../RedisError.js"
import { specFor } from "../command/command.js"
import type { BatchOptions, BatchResult, RedisCommand } from "../command/model.js"
import { EncodeFailure, encode } from "../resp/encoder.js"
import { encodeAll, isEncoded, noScripts, unsendable } from "./batchRequest.js"
import { blockingMillis, blockingTime } from "./blockingTime.js"
import { BlockingCall, Call, ScriptCall, StatefulCall } from "./call.js"
import { type Watching, watching } from "./observed.js"
import { PipelineRequest } from "./pipeline.js"
import type { Request, Tracker } from "./request.js"
import type { RequestSettings, Resume } from "./settings.js"
import { TransactionRequest } from "./transaction.js"

/** The result of an empty batch, which has no reply to wait for. */
export const nothing: BatchResult = { outcome: "executed", exits: [] }

/** `within` says that the command is a part of what is watched as a whole, or, with `null`, of what nobody watches. */
export const prepare = <A>(
  command: RedisCommand<A>,
  resume: Resume<A>,
  settings: RequestSettings,
  tracker: Tracker | undefined,
  within?: Watching | null
): Call<A> | UsageError => {
  const problem = command.problem
  if (problem !== undefined) {
    return problem
  }
  const spec = specFor(command)
  const encoded = encode(spec.wire, command.args)
  if (encoded instanceof EncodeFailure) {
    return unsendable(command, encoded)
  }
  const { traits } = spec
  const blocking = traits.blocking === undefined ? undefined : blockingMillis(command)
  const own = within === undefined && settings.observer !== undefined ? watching(settings, command, false) : undefined
  const settle = own === undefined ? resume : own.settling(resume)
  const call =
    tracker !== undefined && traits.stateful !== undefined
      ? new StatefulCall(command, settle, encoded, tracker)
      : spec.script !== undefined
        ? new ScriptCall(command, settle, encoded)
        : traits.blocking !== undefined
          ? new BlockingCall(command, settle, encoded, blocking !== undefined)
          : new Call(command, settle, encoded)
  call.watch = own ?? within ?? undefined
  call.isPart = within !== undefined
  call.allowed = command.deadline ?? (blocking === undefined ? settings.replyTimeout : blocking + settings.replyTimeout)
  return call
}

/** Checks and encodes commands as one request. */
export const prepareAll = (
  commands: ReadonlyArray<RedisCommand<unknown>>,
  options: BatchOptions,
  resume: Resume<BatchResult>,
  settings: RequestSettings,
  tracker: Tracker | undefined,
  within?: Watching | null
): Request | UsageError => {
  const { atomic } = options
  const encoded = encodeAll(commands, atomic, noScripts)
  if (!isEncoded(encoded)) {
    return encoded
  }
  const blocking = blockingTime(commands, atomic)
  const own = within === undefined && settings.observer !== undefined ? watching(settings, commands, atomic) : undefined
  const settle = own === undefined ? resume : own.settling(resume)
  const request = atomic
    ? new TransactionRequest(commands, settle, encoded, tracker)
    : new PipelineRequest(commands, settle, encoded, tracker, blocking > 0)
  request.watch = own ?? within ?? undefined
  request.isPart = within !== undefined
  request.allowed = options.deadline ?? longestOf(commands, settings.replyTimeout) + blocking
  request.hasOwnDeadline = options.deadline !== undefined || commands.some(({ deadline }) => deadline !== undefined)
  return request
}

const longestOf = (commands: ReadonlyArray<RedisCommand<unknown>>, replyTimeout: number): number => {
  let longest = 0
  for (const { deadline } of commands) {
    longest = Math.max(longest, deadline ?? replyTimeout)
  }
  return longest
}

/** The time that a batch without a deadline of its own is allowed: as long as its longest command may last. */
export const allowedFor = (
  commands: ReadonlyArray<RedisCommand<unknown>>,
  options: BatchOptions,
  replyTimeout: number
): number => longestOf(commands, replyTimeout) + blockingTime(commands, options.atomic)
