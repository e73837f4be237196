/**
 * A chat with a live page. What somebody says is published in Redis, and every browser has the messages of its room as
 * server-sent events, from a subscription of its own. Several of these processes may serve the same rooms.
 *
 *     REDIS_URL=redis://localhost:6379 PORT=8080 npx tsx examples/chat.ts
 *
 * serves until Ctrl-C. With `DEMO=true`, as under `npm run examples`, it plays a conversation with itself and ends.
 */
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { NodeHttpClient, NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Deferred, Effect, Layer, Redacted, Result, Schedule, Schema, Stream } from "effect"
import { Sse } from "effect/encoding"
import {
  HttpClient,
  HttpClientRequest,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse
} from "effect/http"
import { Codec, Redis, RedisError, RedisPubSub } from "effect-redis-client"

const InRoom = Schema.Struct({ room: Schema.Literals(["lobby", "garden"]) })

const Message = Schema.Struct({
  from: Schema.Trim.check(Schema.isMinLength(1), Schema.isMaxLength(32)),
  text: Schema.Trim.check(Schema.isMinLength(1), Schema.isMaxLength(500))
})

const channelOf = (room: string) => `example:chat:${room}`
const messages = RedisPubSub.withCodec(Codec.schema(Message)).withGaps
const { publish } = Redis.withCodec(Codec.schema(Message))

/** JSON has no line breaks of its own, so it is one line of the event. */
const event = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`

/** Comments, so that no proxy in between takes a quiet room for a dead connection. */
const heartbeats = Stream.fromSchedule(Schedule.spaced("15 seconds")).pipe(Stream.map(() => ": still here\n\n"))

const page = HttpServerResponse.file(fileURLToPath(new URL("chat/page.html", import.meta.url)))

const say = Effect.gen(function* () {
  const { room } = yield* HttpRouter.schemaPathParams(InRoom)
  yield* publish(channelOf(room), yield* HttpServerRequest.schemaBodyJson(Message))
  return HttpServerResponse.empty()
})

const listen = Effect.fn(function* (closing: Deferred.Deferred<void>) {
  const { room } = yield* HttpRouter.schemaPathParams(InRoom)
  // Confirmed when it returns: whatever is said after the answer began is in it. The request's scope owns it, and with
  // the browser it goes. A browser that does not keep up holds 256 messages here, and is told when there were more.
  const heard = yield* messages.subscribe(channelOf(room), { bufferSize: 256, onUndecodable: "skip" })
  const events = heard.pipe(
    Stream.map((it) => (RedisPubSub.isGap(it) ? event("gap", { reason: it.reason }) : event("message", it.payload))),
    Stream.merge(heartbeats, { haltStrategy: "left" }),
    Stream.prepend([event("joined", { room })]),
    // The browser comes back by itself, in three seconds or so.
    Stream.catch((error) => Stream.fromEffectDrain(Effect.logWarning("a browser lost its room", error))),
    Stream.interruptWhen(Deferred.await(closing)),
    Stream.encodeText
  )
  return HttpServerResponse.stream(events, {
    contentType: "text/event-stream",
    headers: { "cache-control": "no-store", connection: "close", "x-accel-buffering": "no" }
  })
})

/** Errors of Redis are not shown to the browser. A room or a message that does not fit is answered with 400. */
const hideErrors = HttpRouter.middleware<{ handles: RedisError.AnyRedisError }>()((response) =>
  response.pipe(
    Effect.catchIf(RedisError.isAnyRedisError, (error) =>
      Effect.as(Effect.logError(error), HttpServerResponse.empty({ status: 503 }))
    )
  )
).layer

const Routes = (closing: Deferred.Deferred<void>) =>
  Layer.mergeAll(
    HttpRouter.add("GET", "/", page),
    HttpRouter.add("GET", "/rooms/:room/events", listen(closing)),
    HttpRouter.add("POST", "/rooms/:room/messages", say)
  ).pipe(Layer.provide(hideErrors))

/** At the program's end, a browser that does not even take what it was sent is cut off a second later. */
const ServerLive = NodeHttpServer.layerConfig(createServer, {
  host: Config.withDefault(Config.String("HOST"), "127.0.0.1"),
  port: Config.withDefault(Config.Int("PORT"), 0),
  gracefulShutdownTimeout: Config.succeed("1 second")
})

const ChatLive = (closing: Deferred.Deferred<void>) =>
  HttpRouter.serve(Routes(closing), { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(ServerLive)
  )

/** Two browsers without a window: they listen, they talk, and they tell what they saw. */
const play = Effect.fn(function* (address: string) {
  const client = (yield* HttpClient.HttpClient).pipe(
    HttpClient.mapRequest(HttpClientRequest.prependUrl(address)),
    HttpClient.filterStatusOk
  )
  const join = (room: string) => Effect.map(client.get(`/rooms/${room}/events`), (response) => response.stream)
  const says = (from: string, room: string, text: string) =>
    HttpClientRequest.post(`/rooms/${room}/messages`).pipe(
      HttpClientRequest.bodyJsonUnsafe({ from, text }),
      client.execute
    )
  const saw = (events: Stream.Stream<Uint8Array, unknown>, howMany: number) =>
    events.pipe(
      Stream.decodeText,
      Stream.pipeThroughChannel(Sse.decode()),
      Stream.filter(({ event }) => event === "message"),
      Stream.mapEffect(({ data }) => Schema.decodeEffect(Schema.fromJsonString(Message))(data)),
      Stream.take(howMany),
      Stream.runCollect
    )

  const ada = yield* join("lobby")
  const ben = yield* join("lobby")
  const benOutside = yield* join("garden")
  yield* says("ada", "lobby", "Hello! Is anybody here?")
  yield* says("ben", "lobby", "Me. <b>Bold</b> as ever.")
  yield* says("ada", "garden", "It is quieter here.")
  yield* says("ada", "lobby", "I was in the garden.")

  for (const [who, events, howMany] of [
    ["ada, in the lobby", ada, 3],
    ["ben, in the lobby", ben, 3],
    ["ben, in the garden", benOutside, 1]
  ] as const) {
    yield* Console.log(`${who}:`)
    for (const { from, text } of yield* saw(events, howMany)) {
      yield* Console.log(`  ${from}: ${text}`)
    }
  }
  const refused = yield* Effect.result(says("mallory", "cellar", "Is there a cellar?"))
  yield* Console.log(`a room that there is not: ${Result.isFailure(refused) ? "refused" : "let in"}`)
})

const RedisLive = Redis.layerConfig({
  url: Config.withDefault(Config.Redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))
})

const main = HttpServer.addressFormattedWith(
  Effect.fnUntraced(function* (address) {
    yield* Console.log(`the chat is at ${address}`)
    yield* (yield* Config.withDefault(Config.Boolean("DEMO"), false)) ? play(address) : Effect.never
  })
)

Effect.gen(function* () {
  const closing = yield* Deferred.make<void>()
  yield* main.pipe(
    // Events have no end of their own: at the program's end they are given one, before the server closes.
    Effect.ensuring(Deferred.succeed(closing, undefined)),
    Effect.provide([ChatLive(closing), NodeHttpClient.layerUndici])
  )
}).pipe(Effect.provide(RedisLive), NodeRuntime.runMain)

// prints:
//   the chat is at http://127.0.0.1:…
//   ada, in the lobby:
//     ada: Hello! Is anybody here?
//     ben: Me. <b>Bold</b> as ever.
//     ada: I was in the garden.
//   ben, in the lobby:
//     ada: Hello! Is anybody here?
//     ben: Me. <b>Bold</b> as ever.
//     ada: I was in the garden.
//   ben, in the garden:
//     ada: It is quieter here.
//   a room that there is not: refused
