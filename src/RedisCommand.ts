/**
 * A command as a value: its name, its arguments, what a client must know of it, and how to read its reply. A command is
 * also an `Effect` that needs a `Redis`, so it can be yielded, piped, and handed to a pipeline, a transaction or a
 * connection.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Hash from "effect/Hash"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Types from "effect/Types"
import {
  type AbsoluteTime as AbsoluteTimeModel,
  type Args,
  Argument,
  type ArgumentKind,
  type DurationWithUnit as DurationWithUnitModel,
  isInfinite,
  type Key as KeyModel,
  args as newArgs,
  wholeMillis
} from "./internal/command/args.js"
import * as Decode from "./internal/command/decode.js"
import { type Traits, traitsOf } from "./internal/command/facts.js"
import { Redis, type RedisService } from "./internal/command/model.js"
import * as ReplyErrors from "./internal/command/replyError.js"
import { Name } from "./internal/resp/encoder.js"
import { utf8Decode } from "./internal/resp/text.js"
import { ErrorReply, MapReply, type Reply, SetReply, Unreadable, VerbatimString } from "./internal/resp/values.js"
import { DecodeError, type RedisError, UsageError } from "./RedisError.js"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/RedisCommand")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * A command that answers an `A`.
 *
 * Two commands are equal when they send the same bytes and read the reply the same way. Printing one shows its name and
 * Redis' own words; keys and values are blanked.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisCommand<out A> extends Effect.Effect<A, RedisError, Redis>, Inspectable.Inspectable {
  readonly [TypeId]: { readonly _A: Types.Covariant<A> }
  /** The name in capitals, with its subcommand: `GET`, `CLIENT SETNAME`. */
  readonly name: string
  /** The arguments behind the name. */
  readonly args: ReadonlyArray<Argument>
  /** What a client must know to send it safely. */
  readonly traits: Traits
  /** Whether bulk strings of the reply are wanted as text; otherwise as bytes. */
  readonly text: boolean
  /** The deadline of this command alone, in milliseconds from when it is accepted. */
  readonly deadline: number | undefined
  /** Why the command cannot be sent, when an argument is wrong. It fails with it when it is run. */
  readonly problem: UsageError | undefined
}

export type {
  /**
   * @since 0.1.0
   * @category models
   */
  Argument,
  /**
   * @since 0.1.0
   * @category models
   */
  ArgumentKind,
  /**
   * @since 0.1.0
   * @category models
   */
  Traits
}

/**
 * A key, field or channel name: text, or bytes.
 *
 * @since 0.1.0
 * @category models
 */
export type Key = KeyModel

/**
 * A duration that says its unit: a bare number is milliseconds to Effect and seconds to Redis users, so it does not
 * compile.
 *
 * @since 0.1.0
 * @category models
 */
export type DurationWithUnit = DurationWithUnitModel

/**
 * A moment in time.
 *
 * @since 0.1.0
 * @category models
 */
export type AbsoluteTime = AbsoluteTimeModel

/**
 * How a command is run by itself on a client. In a pipeline or a transaction it is sent as it is.
 *
 * @internal
 */
export type Alone = <A>(command: RedisCommand<A>, redis: RedisService) => Effect.Effect<A, RedisError>

/**
 * A command that runs a script: the script's SHA1, and what to call it by where the server is known to hold it.
 *
 * @internal
 */
export interface ScriptForm {
  readonly sha: (args: ReadonlyArray<Argument>) => string
  readonly short?: Spec
}

/**
 * What all commands of one name have in common.
 *
 * @internal
 */
export class Spec {
  readonly wire: Name
  readonly flushesScripts: boolean
  constructor(
    readonly name: string,
    readonly traits: Traits,
    /** How such a command is run by itself, where that is more than to send it. */
    readonly alone?: Alone,
    /** What is known of the script it runs. */
    readonly script?: ScriptForm
  ) {
    this.flushesScripts = name === "SCRIPT FLUSH"
    this.wire = new Name(name.split(" "))
  }
}

class Command<A> extends Effectable.Class<A, RedisError, Redis> implements RedisCommand<A> {
  get [TypeId](): RedisCommand<A>[TypeId] {
    return variance
  }

  constructor(
    readonly spec: Spec,
    readonly arguments_: Args,
    readonly decoder: Decode.Decoder<unknown>,
    readonly text: boolean,
    readonly mappings: ReadonlyArray<(a: never) => unknown>,
    readonly deadline: number | undefined
  ) {
    super()
  }

  get name(): string {
    return this.spec.name
  }

  get traits(): Traits {
    return this.spec.traits
  }

  get args(): ReadonlyArray<Argument> {
    return this.arguments_.list
  }

  get problem(): UsageError | undefined {
    const problem = this.arguments_.problem
    return problem === undefined
      ? undefined
      : new UsageError({ reason: "invalidArgument", command: this.name, message: `${this.name}: ${problem}` })
  }

  commit(): Effect.Effect<A, RedisError, Redis> {
    // Asked of the fiber itself: one step of the run loop less, and no look-up among its refs (8 % of a GET's time).
    const fiber = Option.getOrThrow(Fiber.getCurrentFiber())
    return run(this, Context.unsafeGet(fiber.currentContext as Context.Context<Redis>, Redis))
  }

  [Equal.symbol](that: Equal.Equal): boolean {
    return (
      that instanceof Command &&
      this.name === that.name &&
      this.spec.alone === that.spec.alone &&
      this.decoder === that.decoder &&
      this.text === that.text &&
      this.deadline === that.deadline &&
      this.traits.repeatable === that.traits.repeatable &&
      this.arguments_.problem === that.arguments_.problem &&
      this.args.length === that.args.length &&
      this.args.every((arg, i) => sameArgument(arg, that.args[i] as Argument)) &&
      this.mappings.length === that.mappings.length &&
      this.mappings.every((f, i) => f === that.mappings[i])
    )
  }

  [Hash.symbol](): number {
    let hash = Hash.string(this.name)
    for (const { data } of this.args) {
      hash = Hash.combine(typeof data === "string" ? Hash.string(data) : Hash.array([...data]))(hash)
    }
    return Hash.cached(this, hash)
  }

  override toString(): string {
    return `RedisCommand(${render(this)})`
  }

  toJSON(): unknown {
    return { _id: "RedisCommand", command: render(this) }
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }
}

const variance = { _A: (_: never): never => _ }

const sameArgument = (a: Argument, b: Argument): boolean => {
  if (a.kind !== b.kind) {
    return false
  }
  if (typeof a.data === "string" || typeof b.data === "string") {
    return a.data === b.data
  }
  const other = b.data
  return a.data.length === other.length && a.data.every((byte, i) => byte === other[i])
}

const render = (command: RedisCommand<unknown>): string =>
  [command.name, ...command.args.map(({ data, kind }) => (kind === "token" ? String(data) : `<${kind}>`))].join(" ")

/**
 * @since 0.1.0
 * @category guards
 */
export const isRedisCommand = (u: unknown): u is RedisCommand<unknown> => Predicate.hasProperty(u, TypeId)

/**
 * Everything that can be an argument of a raw command. Text, bytes and numbers are values: nobody shows them, and no
 * prefix is put before them. {@link key} and {@link token} say otherwise.
 *
 * @since 0.1.0
 * @category models
 */
export type ArgumentInput = string | Uint8Array | number | bigint | Argument

const tagged =
  (kind: ArgumentKind) =>
  (data: string | Uint8Array): Argument =>
    new Argument(kind, data)

/**
 * Tags an argument as a key.
 *
 * @since 0.1.0
 * @category arguments
 */
export const key: (data: string | Uint8Array) => Argument = tagged("key")

/**
 * Tags an argument as one of Redis' own words: it is shown in errors and logs.
 *
 * @since 0.1.0
 * @category arguments
 */
export const token: (data: string) => Argument = tagged("token")

/**
 * Tags an argument as a value. This is what untagged arguments are.
 *
 * @since 0.1.0
 * @category arguments
 */
export const value: (data: string | Uint8Array) => Argument = tagged("value")

const containers = new Set([
  "ACL",
  "BACKUP",
  "CLIENT",
  "CLUSTER",
  "COMMAND",
  "COMMANDLOG",
  "CONFIG",
  "FUNCTION",
  "HIMPORT",
  "HOTKEYS",
  "LATENCY",
  "MEMORY",
  "MODULE",
  "OBJECT",
  "PUBSUB",
  "SCRIPT",
  "SENTINEL",
  "SLOWLOG",
  "XGROUP",
  "XINFO"
])

/** The reply as the server sent it, verbatim strings without their hint. Text and numbers that are none fail. */
const raw =
  (text: boolean): Decode.Decoder<Reply> =>
  (reply) => {
    if (typeof reply !== "object" || reply === null) {
      return reply
    }
    if (reply instanceof Uint8Array) {
      return text ? Decode.text(reply) : reply
    }
    if (reply instanceof VerbatimString) {
      return text ? Decode.text(reply) : reply.value
    }
    if (reply instanceof Unreadable) {
      return Decode.mismatch("a reply that can be read", reply)
    }
    const all = (items: ReadonlyArray<Reply>): ReadonlyArray<Reply> =>
      items.map((item, i) => Decode.at(i, text ? rawTextDecoder : rawDecoder, item))
    if (reply instanceof MapReply) {
      return new MapReply(all(reply.items))
    }
    if (reply instanceof SetReply) {
      return new SetReply(all(reply.items))
    }
    return reply instanceof ErrorReply ? reply : all(reply as ReadonlyArray<Reply>)
  }

const rawDecoder = raw(false)
const rawTextDecoder = raw(true)

const specs = new Map<string, Spec>()

/** Raw names come from programs, perhaps many: only those of the tables and some more are kept. */
const specOf = (name: string): Spec => {
  let spec = specs.get(name)
  if (spec === undefined) {
    spec = new Spec(name, traitsOf(name))
    if (specs.size < 1000) {
      specs.set(name, spec)
    }
  }
  return spec
}

/**
 * A command by its name, for what has no constructor of its own: new commands, modules. `decode` reads the reply; a
 * throw in it is a defect. Without it the answer is the reply as the server sent it.
 *
 * The name may hold the subcommand (`"CLIENT SETNAME"`), or it may be the first argument. State-changing and blocking
 * commands are recognised by their names here too.
 *
 * @example
 * ```ts
 * import { RedisCommand } from "effect-redis-client"
 *
 * export const jsonGet = (key: string) =>
 *   RedisCommand.make("JSON.GET", { args: [RedisCommand.key(key), "$"], readonly: true })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  <A>(name: string, options: MakeOptions & { readonly decode: (reply: Reply) => A }): RedisCommand<A>
  (name: string, options?: MakeOptions): RedisCommand<Reply>
} = <A>(
  name: string,
  options?: MakeOptions & { readonly decode?: ((reply: Reply) => A) | undefined }
): RedisCommand<A> => {
  const text = options?.reply !== "bytes"
  const builder = newArgs()
  const given = name.trim().split(/\s+/)
  let rest: ReadonlyArray<ArgumentInput> = options?.args ?? []
  const container = containers.has((given[0] as string).toUpperCase())
  if (container && given.length === 1 && rest.length > 0) {
    const first = rest[0] instanceof Argument ? rest[0].data : rest[0]
    // As bytes too: a subcommand decides what is refused, and is not overlooked for how it was written.
    const subcommand = first instanceof Uint8Array ? utf8Decode(first, 0, first.length) : first
    if (typeof subcommand === "string" && subcommand.length > 0) {
      given.push(subcommand)
      rest = rest.slice(1)
    }
  }
  // "SELECT 2" is SELECT with an argument, however it is written. Only the name is in capitals.
  for (const word of given.splice(container ? 2 : 1)) {
    builder.text(word)
  }
  const words = given.map((word) => word.toUpperCase())
  if (words.some((word) => !/^[A-Z0-9_.:-]+$/.test(word))) {
    builder.fail("a command's name is letters, digits, '.', '_', ':' and '-'")
    words.splice(0, words.length, "UNKNOWN")
  }
  for (const arg of rest) {
    append(builder, arg)
  }
  const base = specOf(words.join(" "))
  const spec = options?.readonly === true ? declared(base, "readonly") : base
  return new Command<A>(spec, builder, options?.decode ?? (text ? rawTextDecoder : rawDecoder), text, [], undefined)
}

/**
 * @since 0.1.0
 * @category models
 */
export interface MakeOptions {
  readonly args?: ReadonlyArray<ArgumentInput> | undefined
  /** Whether bulk strings are read as text (the default) or as bytes. */
  readonly reply?: "text" | "bytes" | undefined
  /** Whether the command changes nothing, so that it may be sent again after a disconnect. Default: false. */
  readonly readonly?: boolean | undefined
}

const append = (builder: Args, arg: ArgumentInput): void => {
  if (arg instanceof Argument) {
    typeof arg.data === "string" || arg.data instanceof Uint8Array
      ? builder.add(arg)
      : builder.fail("an argument must be text or bytes")
  } else if (typeof arg === "bigint") {
    builder.integer(arg)
  } else if (typeof arg === "number") {
    Number.isInteger(arg) ? builder.integer(arg) : builder.double(arg)
  } else {
    builder.text(arg)
  }
}

/**
 * Changes what a command answers; it stays a command. A throw in `f` is a defect of whoever runs it.
 *
 * @since 0.1.0
 * @category mapping
 */
export const map: {
  <A, B>(f: (a: A) => B): (self: RedisCommand<A>) => RedisCommand<B>
  <A, B>(self: RedisCommand<A>, f: (a: A) => B): RedisCommand<B>
} = dual(2, <A, B>(self: RedisCommand<A>, f: (a: A) => B): RedisCommand<B> => {
  const { arguments_, deadline, decoder, mappings, spec, text } = self as Command<A>
  return new Command<B>(spec, arguments_, decoder, text, [...mappings, f as (a: never) => unknown], deadline)
})

/**
 * Replaces what a command answers.
 *
 * @since 0.1.0
 * @category mapping
 */
export const as: {
  <B>(value: B): <A>(self: RedisCommand<A>) => RedisCommand<B>
  <A, B>(self: RedisCommand<A>, value: B): RedisCommand<B>
} = dual(2, <A, B>(self: RedisCommand<A>, value: B): RedisCommand<B> => map(self, () => value))

/**
 * Rewrites a command's arguments, keeping their kinds: how prefixes are put before keys.
 *
 * @since 0.1.0
 * @category mapping
 */
export const mapArguments: {
  (f: (argument: Argument) => string | Uint8Array): <A>(self: RedisCommand<A>) => RedisCommand<A>
  <A>(self: RedisCommand<A>, f: (argument: Argument) => string | Uint8Array): RedisCommand<A>
} = dual(2, <A>(self: RedisCommand<A>, f: (argument: Argument) => string | Uint8Array): RedisCommand<A> => {
  const { arguments_, deadline, decoder, mappings, spec, text } = self as Command<A>
  const builder = newArgs()
  builder.problem = arguments_.problem
  for (const argument of arguments_.list) {
    const data = f(argument)
    builder.add(data === argument.data ? argument : new Argument(argument.kind, data))
  }
  return new Command<A>(spec, builder, decoder, text, mappings, deadline)
})

/**
 * The keys of a command, in order: what its arguments are tagged as.
 *
 * @since 0.1.0
 * @category getters
 */
export const keys = (self: RedisCommand<unknown>): ReadonlyArray<Key> =>
  self.args.flatMap(({ data, kind }) => (kind === "key" ? [data] : []))

/**
 * Gives one command a deadline of its own, counted from when it is accepted. It covers waiting, retries and the reply;
 * when it passes, the command fails with a `DeadlineError` that says what is known of it. Exact to about 20 ms. It
 * takes a command, so it goes before anything that makes an Effect of it. A pipeline or transaction lasts as long as its
 * commands may, unless it has a `deadline` of its own, which then counts alone.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withDeadline: {
  (deadline: DurationWithUnit): <A>(self: RedisCommand<A>) => RedisCommand<A>
  <A>(self: RedisCommand<A>, deadline: DurationWithUnit): RedisCommand<A>
} = dual(2, <A>(self: RedisCommand<A>, deadline: DurationWithUnit): RedisCommand<A> => {
  const { arguments_, decoder, mappings, spec, text } = self as Command<A>
  const millis = wholeMillis(deadline)
  if (millis !== undefined || isInfinite(deadline)) {
    return new Command<A>(spec, arguments_, decoder, text, mappings, millis ?? Infinity)
  }
  const builder = newArgs().all(arguments_.list)
  builder.problem = arguments_.problem ?? "a deadline must be of whole milliseconds (or Duration.infinity)"
  return new Command<A>(spec, builder, decoder, text, mappings, undefined)
})

/**
 * Declares that executing a command twice is the same as once, so that it may be sent again when its connection ended
 * before its reply came. Readonly commands are taken for that by themselves; of writes only you can know: `SET` of one
 * value is, where nobody else writes the key; `INCR` is not. A pipeline is sent again when each of its commands is
 * readonly or declared so; a transaction when each is declared so, those that only read too.
 *
 * @example
 * ```ts
 * import { Redis, RedisCommand } from "effect-redis-client"
 *
 * export const seen = RedisCommand.repeatable(Redis.set("seen:42", "yes"))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const repeatable = <A>(self: RedisCommand<A>): RedisCommand<A> => {
  const { arguments_, deadline, decoder, mappings, spec, text } = self as Command<A>
  return new Command<A>(declared(spec, "repeatable"), arguments_, decoder, text, mappings, deadline)
}

const declaredSpecs = { readonly: new WeakMap<Spec, Spec>(), repeatable: new WeakMap<Spec, Spec>() }

/** The same with what the user declares, made once. */
const declared = (spec: Spec, trait: keyof typeof declaredSpecs): Spec => {
  let found = spec.traits[trait] ? spec : declaredSpecs[trait].get(spec)
  if (found === undefined) {
    found = new Spec(spec.name, { ...spec.traits, [trait]: true }, spec.alone, spec.script)
    declaredSpecs[trait].set(spec, found)
  }
  return found
}

/**
 * What a reply means to a command: its answer, or the typed error. For test doubles and for whoever routes commands.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decode = <A>(self: RedisCommand<A>, reply: Reply): Exit.Exit<A, RedisError> => {
  const command = self as Command<A>
  if (reply instanceof ErrorReply) {
    return Exit.fail(ReplyErrors.make(reply, command.name, command.args))
  }
  try {
    let result = command.decoder(reply)
    for (const f of command.mappings) {
      result = f(result as never)
    }
    return Exit.succeed(result as A)
  } catch (thrown) {
    return thrown instanceof Decode.DecodeFailure
      ? Exit.fail(new DecodeError({ command: command.name, path: thrown.path, reason: thrown.reason }))
      : Exit.die(thrown)
  }
}

/**
 * Declares a command for the library's own modules: `define("GET", { readonly: true })` once, then a value per call.
 *
 * @internal
 */
export const define = (name: string, traits?: Partial<Traits>, alone?: Alone, script?: ScriptForm) => {
  const spec = new Spec(name, traitsOf(name, traits), alone, script)
  /** `text` false asks for the reply's bulk strings as bytes. */
  return <A>(args: Args, decoder: Decode.Decoder<A>, text = true): RedisCommand<A> =>
    new Command<A>(spec, args, decoder, text, none, undefined)
}

const none: ReadonlyArray<never> = []

/** @internal */
export const specFor = (self: RedisCommand<unknown>): Spec => (self as Command<unknown>).spec

/**
 * Runs a command by itself on a client.
 *
 * @internal
 */
export const run = <A>(self: RedisCommand<A>, redis: RedisService): Effect.Effect<A, RedisError> => {
  const { alone } = specFor(self)
  return alone === undefined ? redis.send(self) : alone(self, redis)
}

/**
 * The same request in other words: what is answered is read as before. A `deadline` is in milliseconds.
 *
 * @internal
 */
export const reword = <A>(
  self: RedisCommand<A>,
  words: { readonly name?: Spec; readonly args?: ReadonlyArray<Argument>; readonly deadline?: number | undefined }
): RedisCommand<A> => {
  const { arguments_, deadline, decoder, mappings, spec, text } = self as Command<A>
  let list = arguments_
  if (words.args !== undefined) {
    list = newArgs().all(words.args)
    list.problem = arguments_.problem
  }
  return new Command<A>(words.name ?? spec, list, decoder, text, mappings, words.deadline ?? deadline)
}

/**
 * The same command with one argument replaced and its reply left as it came: a slice of a wait without end.
 *
 * @internal
 */
export const slice = (self: RedisCommand<unknown>, index: number, data: string): RedisCommand<Reply> => {
  const { arguments_, spec, text } = self as Command<unknown>
  const builder = newArgs()
  builder.problem = arguments_.problem
  arguments_.list.forEach((argument, i) => {
    builder.add(i === index ? new Argument(argument.kind, data) : argument)
  })
  return new Command<Reply>(spec, builder, Decode.raw, text, none, undefined)
}
