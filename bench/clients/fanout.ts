/**
 * Pub/sub fan-out: a batch of messages is published over a bare socket, and the operation is done when each of several
 * listeners of one client has got every one of them.
 */
import * as Net from "node:net"
import { promises } from "../runners.js"
import type { Runner, Work } from "../work.js"
import type { Place } from "./rival.js"

export type Fanout = Work & { readonly op: "fanout" }

/** `listen` adds one listener to the channel, and returns once it will get what is published. */
export const fanout = async (
  place: Place,
  { channel, listeners, messages, value }: Fanout,
  listen: (onMessage: (message: string) => void) => Promise<void>,
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
  const publisher = await new Promise<Net.Socket>((resolve, reject) => {
    const socket = Net.connect({ host: place.host, port: place.port, noDelay: true }, () => resolve(socket))
    socket.once("error", reject)
  })
  publisher.resume()
  const words = ["PUBLISH", channel, value].map((word) => `$${word.length}\r\n${word}\r\n`).join("")
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
