/*
 * The chat of examples/chat.ts as browsers use it: a separate process, with readers of its events over HTTP.
 */
import { spawn } from "node:child_process"
import * as Http from "node:http"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { expect, it } from "vitest"
import { Redis } from "../src/Redis.js"
import { describeReal } from "./support/describeReal.js"
import { makeServer, realServers } from "./support/servers.js"

const root = Path.resolve(import.meta.dirname, "..")

/** Repeats until the condition holds. The bound is wide, because starting a program on a busy machine takes time. */
const until = <E, R>(what: string, ask: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.suspend(() => {
    const started = Date.now()
    const again: Effect.Effect<void, E, R> = Effect.flatMap(ask, (holds) =>
      holds
        ? Effect.void
        : Date.now() - started > 80_000
          ? Effect.dieMessage(`never happened: ${what}`)
          : Effect.zipRight(Effect.sleep("10 millis"), again)
    )
    return again
  })

interface Chat {
  readonly address: string
  /** Ends the process as Ctrl-C does, and waits for it. */
  readonly stop: Effect.Effect<void>
}

const startChat = (redis: string): Effect.Effect<Chat, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, ["--import", "tsx", "examples/chat.ts"], {
        cwd: root,
        env: { ...process.env, REDIS_URL: redis, PORT: "0", DEMO: "false" },
        stdio: ["ignore", "pipe", "inherit"]
      })
      const said = { text: "", ended: false }
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        said.text += text
      })
      child.on("close", () => {
        said.ended = true
      })
      return { child, said }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  ).pipe(
    Effect.flatMap(({ child, said }) => {
      const address = () => /http:\S+/.exec(said.text)?.[0]
      return until(
        "the chat serves",
        Effect.sync(() => address() !== undefined)
      ).pipe(
        Effect.map(() => ({
          address: address() ?? "",
          stop: Effect.zipRight(
            Effect.sync(() => child.kill("SIGINT")),
            until(
              "the chat has ended",
              Effect.sync(() => said.ended)
            )
          )
        }))
      )
    })
  )

/** A browser's side of the event stream. It reads nothing while it is paused. */
const listen = (chat: Chat, room: string, paused = false) =>
  Effect.async<{ readonly response: Http.IncomingMessage; readonly text: () => string; readonly ended: () => boolean }>(
    (resume) => {
      Http.get(`${chat.address}/rooms/${room}/events`, { agent: false }, (response) => {
        const chunks: Array<string> = []
        let ended = false
        response.setEncoding("utf8")
        response.on("data", (chunk: string) => chunks.push(chunk))
        response.on("close", () => {
          ended = true
        })
        if (paused) response.pause()
        resume(Effect.succeed({ response, text: () => chunks.join(""), ended: () => ended }))
      })
    }
  )

const hears = (who: { readonly text: () => string }, what: string) =>
  until(
    `somebody hears ${what}`,
    Effect.sync(() => who.text().includes(what))
  )

const say = (chat: Chat, room: string, body: unknown) =>
  Effect.promise(() =>
    fetch(`${chat.address}/rooms/${room}/messages`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body)
    }).then((response) => response.status)
  )

describeReal((server) => {
  const withChat = (test: (chat: Chat) => Effect.Effect<void, unknown, Redis | Scope.Scope>) =>
    Effect.gen(function* () {
      const { url } = yield* makeServer(server)
      yield* Effect.gen(function* () {
        yield* test(yield* startChat(Redacted.value(url)))
      }).pipe(Effect.provide(Redis.layer({ url })))
    }).pipe(Effect.scoped, Effect.runPromise)

  const listeners = (room: string) =>
    Effect.map(Redis.pubsubNumsub(`example:chat:${room}`), (counts) => counts[0]?.subscribers)

  it("reports possible gaps, continues after them, and unsubscribes with its last listener", () =>
    withChat((chat) =>
      Effect.gen(function* () {
        const ada = yield* listen(chat, "lobby")
        const ben = yield* listen(chat, "lobby")
        const eve = yield* listen(chat, "garden")
        expect(yield* say(chat, "lobby", { from: "ada", text: "<b>first</b>\n\nevent: gap" })).toBe(204)
        yield* Effect.all([hears(ada, "<b>first"), hears(ben, "<b>first")])
        // A line break in a message does not end an event.
        expect(ben.text()).toContain('data: {"from":"ada","text":"<b>first</b>\\n\\nevent: gap"}\n\n')
        expect(ben.text()).not.toContain("\nevent: gap\n")

        yield* Redis.execute("CLIENT", "KILL", "TYPE", "pubsub")
        yield* Effect.all([hears(ada, '"disconnected"'), hears(ben, '"disconnected"'), hears(eve, '"disconnected"')])
        expect(yield* say(chat, "lobby", { from: "ben", text: "second" })).toBe(204)
        yield* Effect.all([hears(ada, "second"), hears(ben, "second")])
        expect(ada.text().match(/^event: \w+/gm)).toEqual(
          ["joined", "message", "gap", "message"].map((name) => `event: ${name}`)
        )
        expect(eve.text()).not.toContain("event: message")

        expect(yield* say(chat, "cellar", { from: "ada", text: "x" })).toBe(400)
        expect(yield* say(chat, "lobby", { from: " ", text: "x" })).toBe(400)
        expect(yield* say(chat, "lobby", { from: "ada", text: "x".repeat(501) })).toBe(400)

        eve.response.destroy()
        yield* until(
          "nobody is left in the garden",
          Effect.map(listeners("garden"), (count) => count === 0)
        )
        expect(yield* listeners("lobby")).toBe(1)

        yield* chat.stop
        expect([ada.ended(), ben.ended()]).toEqual([true, true])
        expect(yield* listeners("lobby")).toBe(0)
      })
    ))

  it("buffers little for a browser that does not read, and tells it so", () =>
    withChat((chat) =>
      Effect.gen(function* () {
        const slow = yield* listen(chat, "lobby", true)
        const ada = yield* listen(chat, "lobby")
        // 24 MB, more than two sockets can buffer.
        const batch = Array.from({ length: 500 }, () =>
          Redis.publish("example:chat:lobby", JSON.stringify({ from: "bot", text: "語".repeat(500) }))
        )
        yield* Effect.repeatN(Redis.pipeline(batch), 31)
        expect(yield* say(chat, "lobby", { from: "ada", text: "the last" })).toBe(204)
        yield* hears(ada, "the last")

        slow.response.resume()
        yield* hears(slow, "the last")
        expect(slow.text()).toContain('event: gap\ndata: {"reason":"overflow"}')
        expect(slow.text().match(/^event: message/gm)?.length).toBeLessThan(16_001)

        // A browser that reads nothing does not delay the shutdown.
        yield* listen(chat, "lobby", true)
        yield* Effect.repeatN(Redis.pipeline(batch), 31)
        yield* chat.stop
      })
    ))
}, realServers.slice(-1))
