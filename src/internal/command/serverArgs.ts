/** Shared arguments of the commands on servers, clusters and sentinels. */
import * as Redacted from "effect/Redacted"
import { type Args, arrayOf, type List, type OneOrMany, toList } from "./args.js"
import type { RedisCommand } from "./model.js"

/**
 * Text that may be a secret. `Redacted` keeps it out of what the program itself prints. This library never shows it.
 */
export type Secret = string | Redacted.Redacted<string>

/** The value of a setting. Booleans are sent as `yes` and `no`, as in configuration files. */
export type Setting = Secret | number | boolean

/** Settings by name; at least one. */
export type Settings = { readonly [name: string]: Setting }

/** A range of hash slots, both ends included. */
export interface SlotRange {
  readonly start: number
  readonly end: number
}

/** A command as an argument of another command: as a value, or as its words. */
export type CommandLine = RedisCommand<unknown> | List<string | Uint8Array>

export const secret = (builder: Args, value: Secret): Args =>
  builder.text(Redacted.isRedacted(value) ? Redacted.value(value) : value)

export const setting = (builder: Args, value: Setting): Args =>
  typeof value === "boolean"
    ? builder.text(value ? "yes" : "no")
    : typeof value === "number"
      ? Number.isInteger(value)
        ? builder.integer(value)
        : builder.double(value)
      : secret(builder, value)

/** Names and values in turn; an empty record is a problem. */
export const settings = (builder: Args, input: Settings): Args => {
  const entries = Object.entries(input)
  return entries.length === 0
    ? builder.fail("needs at least one setting")
    : builder.each(entries, (args, [name, value]) => setting(args.text(name), value))
}

/** One or more texts; an empty list is a problem. */
export const texts = (builder: Args, input: OneOrMany<string>, what: string): Args =>
  builder.some(what, input, (args, text) => args.text(text))

/** Any number of texts; `undefined` and an empty list add nothing. */
export const someTexts = (builder: Args, input: OneOrMany<string> | undefined): Args =>
  input === undefined ? builder : builder.each(toList<string>(input), (args, text) => args.text(text))

/** One or more hash slots; an empty list is a problem. */
export const slots = (builder: Args, input: OneOrMany<number>): Args => builder.some("slot", input, slot)

/** One or more ranges of hash slots; an empty list is a problem. */
export const slotRanges = (builder: Args, input: OneOrMany<SlotRange>): Args =>
  builder.some("range of slots", input, (args, { end, start }) => slot(slot(args, start), end))

export const slot = (builder: Args, slot: number): Args =>
  slot >= 0 && slot < 16384 ? builder.integer(slot) : builder.fail("a slot is a number from 0 to 16383")

export const port = (builder: Args, port: number): Args =>
  port >= 0 && port <= 65535 ? builder.integer(port) : builder.fail("a port is a number from 0 to 65535")

/** The words of another command. The keys of a command value stay keys, so that a key prefix applies to them. */
export const commandLine = (builder: Args, command: CommandLine): Args => {
  const words = arrayOf<string | Uint8Array>(command)
  if (words !== undefined) {
    return words.length === 0 ? builder.fail("needs a command") : builder.each(words, (args, word) => args.text(word))
  }
  const { args: rest, name, problem } = command as RedisCommand<unknown>
  if (problem !== undefined) {
    return builder.fail(problem.message)
  }
  builder.each(name.split(" "), (args, word) => args.token(word))
  return builder.all(rest)
}

/** The token `ASYNC` or `SYNC`. */
export const asyncOrSync = (
  builder: Args,
  options: { readonly async?: boolean | undefined; readonly sync?: boolean | undefined } | undefined
): Args => builder.atMostOne(options, ["async", "sync"]).flag("ASYNC", options?.async).flag("SYNC", options?.sync)
