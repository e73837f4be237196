/** What compiles of streams, scripting, pub/sub and transactions, and what does not: see core.test.ts. */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { describe, expectTypeOf, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import * as PubsubCommands from "../../src/commands/pubsub.js"
import * as ScriptingCommands from "../../src/commands/scripting.js"
import * as StreamCommands from "../../src/commands/stream.js"
import type { StreamEntries, StreamEntry } from "../../src/commands/stream-entry.js"
import * as StreamGroupCommands from "../../src/commands/stream-group.js"
import * as StreamInfoCommands from "../../src/commands/stream-info.js"
import type { Redis } from "../../src/Redis.js"
import type { RedisCommand } from "../../src/RedisCommand.js"
import type { RedisError } from "../../src/RedisError.js"
import * as RedisStream from "../../src/RedisStream.js"

const streams = {
  ...StreamCommands.make(Codec.utf8),
  ...StreamGroupCommands.make(Codec.utf8),
  ...StreamInfoCommands.make(Codec.utf8)
}
const binary = { ...StreamCommands.make(Codec.bytes), ...StreamGroupCommands.make(Codec.bytes) }
const scripts = ScriptingCommands.make(Codec.utf8)
const pubsub = PubsubCommands.make(Codec.utf8)

describe("streams", () => {
  it("XADD answers an id, or with nomkstream an Option of one", () => {
    expectTypeOf(streams.xadd("s", "*", { a: "1" })).toEqualTypeOf<RedisCommand<string>>()
    expectTypeOf(streams.xadd("s", "*", { a: "1" }, { nomkstream: true, maxlen: 1 })).toEqualTypeOf<
      RedisCommand<Option.Option<string>>
    >()
    streams.xadd("s", "*", [["a", "1"]])
    expectTypeOf(streams.xadd).toBeCallableWith("s", "*", {} as StreamEntry<string>["pairs"])
    // @ts-expect-error: the value must fit the codec
    streams.xadd("s", "*", { a: 1 })
    // @ts-expect-error: a list of pairs is required, not a flat list
    streams.xadd("s", "*", ["a", "1"])
  })

  it("fields have the types of the schema, literals included", () => {
    const schema = Schema.Struct({ id: Schema.NumberFromString, kind: Schema.Literal("mail", "call") })
    expectTypeOf(RedisStream.add("s", { id: 1, kind: "mail" }, { schema })).toEqualTypeOf<RedisCommand<string>>()
    // @ts-expect-error: the literal is not part of the schema
    RedisStream.add("s", { id: 1, kind: "letter" }, { schema })
    // @ts-expect-error: without a schema fields are text
    RedisStream.add("s", { id: 1 })
  })

  it("entries that do not decode are in the type only where the program asks for them", () => {
    const schema = Schema.Struct({ id: Schema.NumberFromString })
    type Id = { readonly id: number }
    type Reads<A> = Stream.Stream<A, RedisError, Redis>
    expectTypeOf(RedisStream.read("s")).toEqualTypeOf<Reads<RedisStream.Entry>>()
    expectTypeOf(RedisStream.read("s", { schema, onUndecodable: "skip" })).toEqualTypeOf<Reads<RedisStream.Entry<Id>>>()
    expectTypeOf(RedisStream.read("s", { schema, onUndecodable: "emit", count: 5 })).toEqualTypeOf<
      Reads<RedisStream.Entry<Id> | RedisStream.Undecodable>
    >()
    expectTypeOf(RedisStream.read("s", { onUndecodable: "emit" })).toEqualTypeOf<
      Reads<RedisStream.Entry | RedisStream.Undecodable>
    >()
    // Options that are known at run time only: either may come.
    expectTypeOf(RedisStream.read("s", {} as RedisStream.ReadOptions)).toEqualTypeOf<
      Reads<RedisStream.Entry | RedisStream.Undecodable>
    >()
    const group = { stream: "s", group: "g", consumer: "c" }
    expectTypeOf(RedisStream.consume({ ...group, schema })).toEqualTypeOf<Reads<RedisStream.Delivered<Id>>>()
    expectTypeOf(RedisStream.consume({ ...group, schema, onUndecodable: "emit" })).toEqualTypeOf<
      Reads<RedisStream.Delivered<Id> | RedisStream.DeliveredUndecodable>
    >()
    RedisStream.worker({ ...group, schema, onUndecodable: "reject" }, (entry) => {
      expectTypeOf(entry).toEqualTypeOf<RedisStream.GroupEntry<Id>>()
      return Effect.void
    })
    const worker = RedisStream.worker({ ...group, schema, onUndecodable: "emit", concurrency: 2 }, (entry) => {
      expectTypeOf(entry).toEqualTypeOf<RedisStream.GroupEntry<Id> | RedisStream.GroupUndecodable>()
      return RedisStream.isUndecodable(entry) ? Effect.log(entry.error) : Effect.log(entry.fields.id)
    })
    expectTypeOf(worker).toEqualTypeOf<Effect.Effect<never, RedisError, Redis>>()
    RedisStream.worker({ ...group, onUndecodable: "emit" }, (entry) => {
      expectTypeOf(entry).toEqualTypeOf<RedisStream.GroupEntry | RedisStream.GroupUndecodable>()
      return Effect.void
    })
    // @ts-expect-error: a reader has no dead letters
    RedisStream.read("s", { onUndecodable: "reject" })
    // @ts-expect-error: this option does not exist
    RedisStream.read("s", { onUndecodeable: "skip" })
    // @ts-expect-error: this way does not exist
    RedisStream.consume({ ...group, onUndecodable: "ignore" })
  })

  it("options that exclude each other are refused", () => {
    streams.xtrim("s", { maxlen: 1, approximately: true, limit: 5, acked: true })
    streams.xtrim("s", { minid: new Date(0), equal: true })
    // @ts-expect-error: MAXLEN and MINID exclude each other
    streams.xtrim("s", { maxlen: 1, minid: "1" })
    // @ts-expect-error: MAXLEN or MINID is required
    streams.xtrim("s", {})
    // @ts-expect-error: = and ~ exclude each other
    streams.xtrim("s", { maxlen: 1, equal: true, approximately: true })
    // @ts-expect-error: LIMIT needs ~
    streams.xtrim("s", { maxlen: 1, limit: 5 })
    // @ts-expect-error: policies exclude each other
    streams.xtrim("s", { maxlen: 1, acked: true, delref: true })
    // @ts-expect-error: policies exclude each other
    streams.xdelex("s", "1", { keepref: true, delref: true })
    // @ts-expect-error: LIMIT needs MAXLEN or MINID
    streams.xadd("s", "*", { a: "1" }, { limit: 5 })
    streams.xadd("s", "*", { a: "1" }, { idmpauto: "p", keepref: true, maxlen: 1 })
    // @ts-expect-error: IDMPAUTO and IDMP exclude each other
    streams.xadd("s", "*", { a: "1" }, { idmpauto: "p", idmp: { producer: "p", id: "i" } })
    streams.xcfgset("s", { idmpMaxsize: 1 })
    // @ts-expect-error: at least one setting is required
    streams.xcfgset("s", {})
  })

  it("durations need units", () => {
    streams.xdel("s", ["1", "2"])
    streams.xread({ s: "$" }, { block: "5 seconds" })
    // @ts-expect-error: a duration needs a unit
    streams.xread({ s: "$" }, { block: 5 })
    // @ts-expect-error: a duration needs a unit
    streams.xclaim("s", "g", "c", 1000, "1")
    // @ts-expect-error: a duration needs a unit
    streams.xpending("s", "g", { start: "-", end: "+", count: 1, idle: 1000 })
    // @ts-expect-error: a bound must be an id or a time
    streams.xrange("s", 5, "+")
    // @ts-expect-error: this mode does not exist
    streams.xnack("s", "g", "maybe", "1")
  })

  it("options that change the reply change the type", () => {
    expectTypeOf(streams.xread({ s: "0" })).toEqualTypeOf<RedisCommand<Array<StreamEntries<string, string>>>>()
    expectTypeOf(binary.xrange("s", "-", "+")).toEqualTypeOf<RedisCommand<Array<StreamEntry<Uint8Array, Uint8Array>>>>()
    expectTypeOf(streams.xclaim("s", "g", "c", "1 second", "1", { justid: true })).toEqualTypeOf<
      RedisCommand<Array<string>>
    >()
    expectTypeOf(streams.xautoclaim("s", "g", "c", "1 second", "0")).toEqualTypeOf<
      RedisCommand<StreamGroupCommands.Autoclaimed<StreamEntry<string, string>>>
    >()
    expectTypeOf(streams.xautoclaim("s", "g", "c", "1 second", "0", { justid: true })).toEqualTypeOf<
      RedisCommand<StreamGroupCommands.Autoclaimed<string>>
    >()
    expectTypeOf(streams.xreadgroup("g", "c", { s: ">" }, { claim: "1 second" })).toEqualTypeOf<
      RedisCommand<Array<StreamGroupCommands.GroupEntries<StreamGroupCommands.ClaimedEntry<string, string>, string>>>
    >()
    expectTypeOf(streams.xpending("s", "g")).toEqualTypeOf<RedisCommand<StreamGroupCommands.PendingSummary<string>>>()
    expectTypeOf(streams.xpending("s", "g", { start: "-", end: "+", count: 1 })).toEqualTypeOf<
      RedisCommand<Array<StreamGroupCommands.PendingEntry<string>>>
    >()
    // @ts-expect-error: a range needs a count
    streams.xpending("s", "g", { start: "-", end: "+" })
    expectTypeOf(streams.xinfoStream("s")).toEqualTypeOf<RedisCommand<StreamInfoCommands.StreamInfo<string, string>>>()
    expectTypeOf(streams.xinfoStream("s", { full: true, count: 1 })).toEqualTypeOf<
      RedisCommand<StreamInfoCommands.FullStreamInfo<string, string>>
    >()
    // @ts-expect-error: COUNT needs FULL
    streams.xinfoStream("s", { count: 1 })
  })
})

describe("scripting, pub/sub and transactions", () => {
  it("refuse empty lists, contradictory options and wrong types", () => {
    scripts.functionFlush({ async: true })
    // @ts-expect-error: exactly one of these is allowed
    scripts.functionFlush({ async: true, sync: true })
    // @ts-expect-error: exactly one of these is allowed
    scripts.scriptFlush({ async: true, sync: true })
    // @ts-expect-error: policies exclude each other
    scripts.functionRestore(new Uint8Array(0), { flush: true, replace: true })
    // @ts-expect-error: a dump must be bytes
    scripts.functionRestore("dump")
    // @ts-expect-error: an object is not an argument
    scripts.eval("x", { args: [{}] })
    expectTypeOf(scripts.functionList()).toEqualTypeOf<RedisCommand<Array<ScriptingCommands.FunctionLibrary>>>()
    expectTypeOf(scripts.functionList({ withcode: true })).toEqualTypeOf<
      RedisCommand<Array<ScriptingCommands.FunctionLibraryWithCode>>
    >()
    pubsub.publish("c", "m")
    // @ts-expect-error: the message must fit the codec
    pubsub.publish("c", 1)
  })
})
