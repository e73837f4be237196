/**
 * How long a blocking command may block, read from its arguments; and how a wait without end is asked for in slices, so
 * that a dead peer is noticed (design law 8).
 */
import { Argument } from "../command/args.js"
import { reword, undecoded } from "../command/command.js"
import type { Blocking } from "../command/facts.js"
import type { RedisCommand } from "../command/model.js"
import type { Reply } from "../resp/values.js"

/** An argument as a word of Redis'. */
export const argumentText = (argument: Argument | undefined): string =>
  argument === undefined
    ? ""
    : (typeof argument.data === "string" ? argument.data : new TextDecoder().decode(argument.data)).toUpperCase()

/** How long a command may block, in milliseconds (Infinity: without end), or `undefined` when this one does not block. */
export const blockingMillis = (command: RedisCommand<unknown>): number | undefined => {
  const blocking = command.traits.blocking
  if (blocking === undefined) {
    return undefined
  }
  const { args } = command
  const index = timeoutIndex(args, blocking)
  if (index === undefined) {
    return undefined
  }
  const timeout = Number(argumentText(args[index]))
  // The server refuses a timeout that is not a number at once.
  if (Number.isNaN(timeout)) {
    return undefined
  }
  return timeout === 0 ? Infinity : blocking.unit === "seconds" ? timeout * 1000 : timeout
}

/** Where a blocking command has its timeout; `undefined` when this one does not block. */
const timeoutIndex = (args: ReadonlyArray<Argument>, blocking: Blocking): number | undefined => {
  if (blocking.token !== undefined) {
    const index = optionIndex(args, blocking.token) + 1
    return index === 0 ? undefined : index
  }
  const at = blocking.index ?? -1
  return at < 0 ? args.length + at : at
}

/** A blocking command that may block for `millis` only. */
export const withBlockingMillis = <A>(command: RedisCommand<A>, millis: number): RedisCommand<A> => {
  const { args, traits } = command
  const index = traits.blocking === undefined ? undefined : timeoutIndex(args, traits.blocking)
  if (index === undefined || traits.blocking === undefined) {
    return command
  }
  const timeout = String(traits.blocking.unit === "seconds" ? millis / 1000 : Math.ceil(millis))
  return reword(command, {
    args: args.map((argument, i) => (i === index ? new Argument(argument.kind, timeout) : argument))
  })
}

/**
 * A slice of `millis` of a command that would wait without end, or `undefined` for any other command. When a slice passes
 * without an answer, the command is asked for again, so that the deadline of the slice notices a dead peer. Not sliced are
 * commands whose deadline the user gave, WAIT and WAITAOF (they answer numbers), and XREAD from `$`, which would lose the
 * entries between two slices.
 */
export const sliceOf = (command: RedisCommand<unknown>, millis: number): RedisCommand<Reply> | undefined => {
  const { args, deadline, traits } = command
  const { blocking } = traits
  if (blocking === undefined || deadline !== undefined || traits.awaitsWrites) {
    return undefined
  }
  const index = blockingMillis(command) === Infinity ? timeoutIndex(args, blocking) : undefined
  if (
    index === undefined ||
    (blocking.fromNewest === true && args.some((argument) => argumentText(argument) === "$"))
  ) {
    return undefined
  }
  return undecoded(withBlockingMillis(command, millis))
}

/**
 * The streams that an XREAD without end reads from `$`, with the places of their ids; an empty list for any other command. A
 * slice of such a wait would begin again at `$`, and lose the entries before it.
 */
export const newestOf = (
  command: RedisCommand<unknown>
): ReadonlyArray<{ readonly at: number; readonly key: Argument }> => {
  const { args, deadline, traits } = command
  if (traits.blocking?.fromNewest !== true || deadline !== undefined || blockingMillis(command) !== Infinity) {
    return []
  }
  const first = optionIndex(args, "STREAMS") + 1
  const count = (args.length - first) / 2
  return first === 0 || !Number.isInteger(count)
    ? []
    : args
        .slice(first + count)
        .flatMap((id, i) =>
          argumentText(id) === "$" ? [{ at: first + count + i, key: args[first + i] as Argument }] : []
        )
}

/**
 * Where XREAD and XREADGROUP have one of their options. Typed commands tag Redis' words as tokens. In raw commands a group or
 * a stream may have the name of an option, so the arguments are read as the server reads them: after
 * `GROUP group consumer`, up to `STREAMS`.
 */
const optionIndex = (args: ReadonlyArray<Argument>, token: string): number => {
  if (args.some(({ kind }) => kind === "token")) {
    return args.findIndex((argument) => argument.kind === "token" && argumentText(argument) === token)
  }
  for (let i = argumentText(args[0]) === "GROUP" ? 3 : 0; i < args.length; i++) {
    const word = argumentText(args[i])
    if (word === token || word === "STREAMS") {
      return word === token ? i : -1
    }
  }
  return -1
}

/** How long the blocking commands of a pipeline may block, one after the other, in milliseconds. Inside MULTI none blocks. */
export const blockingTime = (commands: ReadonlyArray<RedisCommand<unknown>>, atomic: boolean): number => {
  let blocking = 0
  if (atomic) {
    return blocking
  }
  for (const command of commands) {
    blocking += command.traits.blocking === undefined ? 0 : (blockingMillis(command) ?? 0)
  }
  return blocking
}
