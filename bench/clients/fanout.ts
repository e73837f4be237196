/**
 * Pub/sub fan-out: a batch of messages is published over a bare socket, and the operation is done when each of several
 * listeners of one client has got every one of them.
 */
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Mailbox from "effect/Mailbox"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { promises } from "../runners.js"
import type { Place, Runner, Work } from "../work.js"

export type Fanout = Work & { readonly op: "fanout" }

type OnMessage = (message: string) => void

/** A Stream that is run in a fiber for each listener. */
const running = (scope: Scope.CloseableScope, stream: Stream.Stream<string>, onMessage: OnMessage): void => {
  const run = Stream.runForEach(stream, (message) => Effect.sync(() => onMessage(message)))
  Effect.runSync(Effect.forkIn(run, scope))
}

/** A client of callbacks as a program in Effect listens to it: each message pushed into a Stream. */
export const fanoutInEffect = (
  place: Place,
  work: Fanout,
  subscribe: (channel: string, onMessage: OnMessage) => Promise<void>,
  close: () => Promise<void>
): Promise<Runner> => {
  const scope = Effect.runSync(Scope.make())
  const listen = (onMessage: OnMessage) =>
    new Promise<void>((listening, failed) => {
      const messages = Stream.asyncPush<string>(
        (emit) =>
          Effect.promise(() => subscribe(work.channel, (message) => emit.single(message)).then(listening, failed)),
        { bufferSize: "unbounded" }
      )
      running(scope, messages, onMessage)
    })
  return fanout(place, work, listen, async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await close()
  })
}

/** What Streams cost without a client: a bare socket counts bytes, and gives prepared messages to a Mailbox for each listener. */
export const fanoutFloor = async (place: Place, work: Fanout): Promise<Runner> => {
  const { channel, value } = work
  const scope = Effect.runSync(Scope.make())
  const mailboxes: Array<Mailbox.Mailbox<string>> = []
  const socket = await connect(place)
  const length = Buffer.byteLength(`*3\r\n$7\r\nmessage\r\n${bulk(channel)}${bulk(value)}`)
  await new Promise<void>((resolve) => {
    socket.once("data", () => resolve())
    socket.write(`*2\r\n$9\r\nSUBSCRIBE\r\n${bulk(channel)}`)
  })
  let partial = 0
  socket.on("data", (bytes) => {
    partial += bytes.length
    const count = Math.floor(partial / length)
    partial -= count * length
    const messages = Array.from({ length: count }, () => value)
    for (const mailbox of mailboxes) {
      mailbox.unsafeOfferAll(messages)
    }
  })
  const listen = async (onMessage: OnMessage) => {
    const mailbox = Effect.runSync(Mailbox.make<string>())
    mailboxes.push(mailbox)
    running(scope, Mailbox.toStream(mailbox), onMessage)
  }
  return fanout(place, work, listen, async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    socket.destroy()
  })
}

export const connect = (place: Place): Promise<Net.Socket> =>
  new Promise((resolve, reject) => {
    const socket = Net.connect({ host: place.host, port: place.port, noDelay: true }, () => resolve(socket))
    socket.once("error", reject)
  })

const bulk = (word: string): string => `$${word.length}\r\n${word}\r\n`

/** `listen` adds one listener to the channel, and returns once it will get what is published. */
export const fanout = async (
  place: Place,
  { channel, listeners, messages, value }: Fanout,
  listen: (onMessage: OnMessage) => Promise<void>,
  close: () => Promise<void>
): Promise<Runner> => {
  let owed = 0
  let done: () => void = () => {}
  const onMessage = (message: string) => {
    if (message.length !== value.length) {
      throw new Error("another message")
    }
    if (--owed === 0) {
      done()
    }
  }
  for (let i = 0; i < listeners; i++) {
    // A function of its own for each: some clients keep them in a Set.
    await listen((message) => onMessage(message))
  }
  const publisher = await connect(place)
  publisher.resume()
  const words = ["PUBLISH", channel, value].map(bulk).join("")
  const batch = Buffer.from(`*3\r\n${words}`.repeat(messages))
  return promises(
    () =>
      new Promise<void>((resolve) => {
        owed = listeners * messages
        done = resolve
        publisher.write(batch)
      }),
    async () => {
      publisher.destroy()
      await close()
    }
  )
}
