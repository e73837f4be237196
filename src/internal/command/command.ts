/**
 * The core of a command: its value, what all commands of one name have in common ({@link Spec}), and how its reply is
 * decoded. Commands are declared with {@link define} by the groups under `src/commands`, and made by their name in raw.ts.
 * Nothing here sends anything.
 */
import type * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Hash from "effect/Hash"
import * as Inspectable from "effect/Inspectable"
import { DecodeError, type RedisError, UsageError } from "../../RedisError.js"
import { cachedHash, effectOn } from "../effect/commandEffect.js"
import { withoutFrames } from "../effect/errorSchemas.js"
import { Name } from "../resp/encoder.js"
import { isErrorReply, type Reply } from "../resp/values.js"
import { type Args, type Argument, type DurationWithUnit, isInfinite, args as newArgs, wholeMillis } from "./args.js"
import * as Decode from "./decode.js"
import { type Traits, traitsOf } from "./facts.js"
import { Redis, type RedisCommand, type RedisService, TypeId } from "./model.js"
import * as ReplyErrors from "./replyError.js"

/** How a command is run by itself on a client, where that is more than to send it. A pipeline sends the command as it is. */
export type Alone = <A>(command: RedisCommand<A>, redis: RedisService) => Effect.Effect<A, RedisError>

/** A command that runs a script: the script's SHA1, and the spec to send it by where the server is known to hold it. */
export interface ScriptForm {
  readonly sha: (args: ReadonlyArray<Argument>) => string
  readonly short?: Spec
  /** Of a command by SHA1: the same call with the source. */
  readonly full?: <A>(command: RedisCommand<A>) => RedisCommand<A>
}

/** What all commands of one name have in common. */
export class Spec {
  readonly wire: Name
  constructor(
    readonly name: string,
    readonly traits: Traits,
    readonly alone?: Alone,
    readonly script?: ScriptForm
  ) {
    this.wire = new Name(name.split(" "))
  }
}

const specs = new Map<string, Spec>()

/** How many specs are kept. Names may come from a program's data, so the map is bounded. */
const mostSpecs = 2000

/** The spec of a name in capitals, with the traits that the table of facts gives it. One name has one spec. */
export const specOf = (name: string): Spec => {
  let spec = specs.get(name)
  if (spec === undefined) {
    spec = new Spec(name, traitsOf(name))
    if (specs.size < mostSpecs) {
      specs.set(name, spec)
    }
  }
  return spec
}

/** A spec of the same name with some traits replaced. */
const withTraits = (spec: Spec, traits: Partial<Traits>): Spec =>
  new Spec(spec.name, { ...spec.traits, ...traits }, spec.alone, spec.script)

/** The parts that a copy of a command may replace. */
interface Parts {
  readonly spec?: Spec | undefined
  readonly args?: Args | undefined
  readonly decoder?: Decode.Decoder<unknown> | undefined
  readonly mappings?: ReadonlyArray<(a: never) => unknown> | undefined
  readonly deadline?: number | undefined
}

const OnRedis = effectOn(Redis)

export class Command<A> extends OnRedis<A, RedisError> implements RedisCommand<A> {
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

  override runOn(redis: RedisService): Effect.Effect<A, RedisError> {
    return run(this, redis)
  }

  /** A copy with some parts replaced. */
  with<B = A>(parts: Parts): Command<B> {
    return new Command<B>(
      parts.spec ?? this.spec,
      parts.args ?? this.arguments_,
      parts.decoder ?? this.decoder,
      this.text,
      parts.mappings ?? this.mappings,
      parts.deadline ?? this.deadline
    )
  }

  [Equal.symbol](that: Equal.Equal): boolean {
    return (
      // A command of another copy of this package reads its reply by another function, so the two are never equal.
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
    return cachedHash(this, hash)
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
 * The command's value as this library made it. Another copy of this package may have made it: its fields and methods are
 * the same, so it is never asked which class it is of. A version that changes them changes the {@link TypeId}.
 */
const own = <A>(self: RedisCommand<A>): Command<A> => self as Command<A>

const defined: Array<Spec> = []

/** A name may come from a program's data. In what observers keep, every name without a typed constructor is this one. */
const otherName = "OTHER"

const finite = new Set<string>()
let counted = 0

/** The name of a command, out of a finite set. */
export const finiteName = (name: string): string => {
  // Commands are defined when their module is loaded, which may be after the first question.
  while (counted < defined.length) {
    finite.add((defined[counted++] as Spec).name)
  }
  return finite.has(name) ? name : otherName
}

/**
 * Declares a command for the library's own modules, once: `const GET = define("GET")`. Its traits come from the table of
 * facts; `variant` replaces some of them, or says how such a command is run by itself.
 */
export const define = (
  name: string,
  variant?: {
    readonly traits?: Partial<Traits> | undefined
    readonly alone?: Alone | undefined
    readonly script?: ScriptForm | undefined
  }
) => {
  const spec =
    variant === undefined ? specOf(name) : new Spec(name, traitsOf(name, variant.traits), variant.alone, variant.script)
  defined.push(spec)
  /** With `text` false the reply's bulk strings are read as bytes. */
  return <A>(args: Args, decoder: Decode.Decoder<A>, text = true): RedisCommand<A> =>
    new Command<A>(spec, args, decoder, text, none, undefined)
}

export const none: ReadonlyArray<never> = []

/**
 * The constructors of a group, made total: a constructor that throws, because an untyped program called it with arguments
 * that the types exclude, makes a command that fails when it is run. What was thrown is dropped, because it may quote a
 * value. One wrapper for all costs a call (about 10 ns, of the microseconds of a GET); checks in each constructor would
 * be forgotten in the next one.
 */
export const total = <G extends object>(group: G): G => {
  const guarded: Record<string, unknown> = {}
  for (const [method, make] of Object.entries(group)) {
    guarded[method] = (...given: ReadonlyArray<unknown>): unknown => {
      try {
        return make(...given)
      } catch {
        return unusable(method)
      }
    }
  }
  return guarded as G
}

/** A command that only fails, in place of one that could not be made. */
const unusable = (method: string): RedisCommand<never> => {
  const letters = method.toUpperCase()
  const name = defined.find(({ name }) => name.replace(/[^A-Z0-9]/g, "") === letters)?.name ?? letters
  return new Command<never>(
    new Spec(name, traitsOf(name)),
    newArgs().fail("an argument is missing, or is not of its type"),
    Decode.raw,
    true,
    none,
    undefined
  )
}

export const specFor = (self: RedisCommand<unknown>): Spec => own(self).spec

/** The command as it is sent inside MULTI: a script with its source, because an unknown SHA1 would only fail at EXEC. */
export const insideMulti = <A>(self: RedisCommand<A>): RedisCommand<A> => specFor(self).script?.full?.(self) ?? self

/** Runs a command by itself on a client. */
export const run = <A>(self: RedisCommand<A>, redis: RedisService): Effect.Effect<A, RedisError> => {
  const { alone } = specFor(self)
  return alone === undefined ? redis.send(self) : alone(self, redis)
}

/** What a reply means to a command: its value, or the typed error. */
export const decode = <A>(self: RedisCommand<A>, reply: Reply): Exit.Exit<A, RedisError> => {
  const command = own(self)
  if (isErrorReply(reply)) {
    return Exit.fail(ReplyErrors.make(reply, command.name, command.args))
  }
  try {
    let result = command.decoder(reply)
    for (const f of command.mappings) {
      result = f(result as never)
    }
    return Exit.succeed(result as A)
  } catch (thrown) {
    return Decode.isDecodeFailure(thrown)
      ? Exit.fail(withoutFrames(DecodeError, { command: command.name, path: thrown.path, reason: thrown.reason }))
      : Exit.die(thrown)
  }
}

/** The same command with its result changed by `f`. */
export const mapped = <A, B>(self: RedisCommand<A>, f: (a: A) => B): RedisCommand<B> => {
  const command = own(self)
  return command.with<B>({ mappings: [...command.mappings, f as (a: never) => unknown] })
}

/** The same request with other arguments, another spec or another deadline (in milliseconds). Its reply is read as before. */
export const reword = <A>(
  self: RedisCommand<A>,
  words: { readonly name?: Spec; readonly args?: ReadonlyArray<Argument>; readonly deadline?: number | undefined }
): RedisCommand<A> => {
  const command = own(self)
  return command.with({
    spec: words.name,
    args: words.args === undefined ? undefined : rebuilt(command, words.args),
    deadline: words.deadline
  })
}

const rebuilt = (command: Command<unknown>, list: ReadonlyArray<Argument>): Args => {
  const builder = newArgs().all(list)
  builder.problem = command.arguments_.problem
  return builder
}

/**
 * The same request, whose value is the reply as the parser read it: for replies that are joined from several servers,
 * kept in a cache, or compared. `decode(command, reply)` turns such a reply into the command's own value. An error reply
 * still fails, typed.
 */
export const undecoded = (self: RedisCommand<unknown>): RedisCommand<Reply> =>
  own(self).with<Reply>({ decoder: Decode.raw, mappings: none })

/** The same command with a deadline of its own. A deadline that is not one is kept as the command's problem. */
export const withDeadline = <A>(self: RedisCommand<A>, deadline: DurationWithUnit): RedisCommand<A> => {
  const command = own(self)
  const millis = wholeMillis(deadline)
  if (millis !== undefined || isInfinite(deadline)) {
    return command.with({ deadline: millis ?? Infinity })
  }
  const args = rebuilt(command, command.args)
  args.problem ??= "a deadline must be of whole milliseconds (or Duration.infinity)"
  return command.with({ args })
}

const declaredSpecs = { readonly: new WeakMap<Spec, Spec>(), repeatable: new WeakMap<Spec, Spec>() }

/** The same command, of which the user declares that it changes nothing, or that executing it twice does no harm. */
export const declare = <A>(self: RedisCommand<A>, trait: keyof typeof declaredSpecs): RedisCommand<A> => {
  const command = own(self)
  const { spec } = command
  if (spec.traits[trait]) {
    return command
  }
  let declared = declaredSpecs[trait].get(spec)
  if (declared === undefined) {
    declared = withTraits(spec, { [trait]: true })
    declaredSpecs[trait].set(spec, declared)
  }
  return command.with({ spec: declared })
}
