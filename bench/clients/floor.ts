/**
 * The floors. A bare socket that writes prepared bytes and counts replies is what any client in Node has to pay; the same
 * behind one `Effect.async` is what any Effect client has to pay; and an Effect that is answered at once is what the
 * Effect runtime costs without any client.
 */
import type * as Net from "node:net"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Scope from "effect/Scope"
import { effects } from "../runners.js"
import { commandsOf, type Place, type Runner, type Work } from "../work.js"
import { connect, fanoutFloor } from "./fanout.js"
import { sharedScheduler } from "./schedulers.js"

const encode = (words: ReadonlyArray<string>): string =>
  `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`

const pong = Buffer.from("+PONG\r\n")

/** The length of the reply: a PING is sent after the command, and its reply marks the end. */
const replyLength = (socket: Net.Socket, request: Buffer): Promise<number> =>
  new Promise((resolve) => {
    let read = 0
    let end = Buffer.alloc(0)
    const onData = (bytes: Buffer) => {
      read += bytes.length
      end = Buffer.concat([end, bytes.subarray(-pong.length)]).subarray(-pong.length)
      if (end.equals(pong)) {
        socket.off("data", onData)
        resolve(read - pong.length)
      }
    }
    socket.on("data", onData)
    socket.write(Buffer.concat([request, Buffer.from(encode(["PING"]))]))
  })

const prepare = async (place: Place, work: Work) => {
  const socket = await connect(place)
  const request = Buffer.from(commandsOf(work).map(encode).join(""))
  const length = await replyLength(socket, request)
  const close = async () => {
    socket.destroy()
  }
  return { socket, request, length, close }
}

/** Connects, sends, reads, closes. */
const connections = (place: Place): Runner => {
  const request = Buffer.from(encode(["PING"]))
  const once = async () => {
    const socket = await connect(place)
    await new Promise<void>((resolve) => {
      socket.once("data", () => resolve())
      socket.write(request)
    })
    await new Promise<void>((resolve) => {
      socket.once("close", () => resolve())
      socket.end()
    })
  }
  return {
    once,
    run: async (concurrency, meter, samples) => {
      let at = 0
      await Promise.all(
        Array.from({ length: concurrency }, async (_, index) => {
          for (let i = meter.share(index, concurrency); i > 0; i--) {
            const started = performance.now()
            await once()
            if (samples !== undefined) {
              samples[at++] = performance.now() - started
            }
            meter.tick()
          }
        })
      )
    },
    close: async () => {}
  }
}

/** As many requests under way as there would be loops; each reply that was counted sends the next request. */
export const floor = async (place: Place, work: Work): Promise<Runner | undefined> => {
  if (work.op === "connect") {
    return connections(place)
  }
  if (commandsOf(work).length === 0) {
    return undefined
  }
  const { close, length, request, socket } = await prepare(place, work)
  let many = request
  const batch = (count: number): Buffer => {
    while (many.length < count * request.length) {
      many = Buffer.concat([many, many])
    }
    return many.subarray(0, count * request.length)
  }
  let onReplies: (count: number) => void = () => {}
  let partial = 0
  socket.on("data", (bytes) => {
    partial += bytes.length
    const count = Math.floor(partial / length)
    if (count > 0) {
      partial -= count * length
      onReplies(count)
    }
  })
  const run: Runner["run"] = (concurrency, meter, samples) =>
    new Promise((resolve) => {
      let left = meter.total
      let owed = 0
      // When the oldest were sent, and how many with each write.
      const sent: Array<{ readonly at: number; count: number }> = []
      let head = 0
      let at = 0
      const send = (count: number) => {
        if (count === 0) {
          return
        }
        left -= count
        owed += count
        if (samples !== undefined) {
          sent.push({ at: performance.now(), count })
        }
        socket.write(batch(count))
      }
      onReplies = (count) => {
        owed -= count
        if (samples !== undefined) {
          const now = performance.now()
          for (let i = 0; i < count; i++) {
            const oldest = sent[head]
            if (oldest !== undefined) {
              samples[at++] = now - oldest.at
              if (--oldest.count === 0) {
                head++
              }
            }
          }
        }
        for (let i = 0; i < count; i++) {
          meter.tick()
        }
        if (left === 0 && owed === 0) {
          resolve()
        } else {
          send(Math.min(count, left))
        }
      }
      send(Math.min(concurrency, left))
    })
  return {
    once: () =>
      new Promise<void>((resolve) => {
        onReplies = () => resolve()
        socket.write(request)
      }),
    run,
    close
  }
}

const done = Exit.succeed("")

/** The same socket behind one `Effect.async` per operation; what one turn sends leaves in one write. */
export const floorInEffect = async (place: Place, work: Work): Promise<Runner | undefined> => {
  if (work.op === "fanout") {
    return fanoutFloor(place, work)
  }
  if (work.op === "connect" || commandsOf(work).length === 0) {
    return undefined
  }
  const { close, length, request, socket } = await prepare(place, work)
  const text = request.toString("latin1")
  const waiting: Array<(exit: Exit.Exit<string>) => void> = []
  let head = 0
  let partial = 0
  let gathered = ""
  const flush = () => {
    socket.write(gathered, "latin1")
    gathered = ""
  }
  socket.on("data", (bytes) => {
    partial += bytes.length
    while (partial >= length) {
      partial -= length
      const resume = waiting[head++]
      if (head === waiting.length) {
        waiting.length = 0
        head = 0
      }
      resume?.(done)
    }
  })
  const operation = () =>
    Effect.async<string>((resume) => {
      waiting.push(resume)
      if (gathered === "") {
        queueMicrotask(flush)
      }
      gathered += text
    })
  return effects(operation, Effect.runPromise, close)
}

/** A scope with a finalizer. */
const scoped = Effect.scoped(Effect.flatMap(Effect.scope, (scope) => Scope.addFinalizer(scope, Effect.void)))

/** No connection at all: each operation is answered in a microtask, a lease at once. */
export const runtime = async (work: Work, shared: boolean): Promise<Runner | undefined> => {
  if (work.op === "connect" || (commandsOf(work).length === 0 && work.op !== "pool")) {
    return undefined
  }
  const managed = ManagedRuntime.make(shared ? Layer.setScheduler(sharedScheduler()) : Layer.empty)
  await managed.runtime()
  const operation =
    work.op === "pool" ? () => scoped : () => Effect.async<string>((resume) => queueMicrotask(() => resume(done)))
  return effects(
    operation,
    (effect) => managed.runPromise(effect),
    () => managed.dispose()
  )
}
