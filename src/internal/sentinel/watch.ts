/**
 * Watches sentinels: what they announce arrives by a plain call, so that a client leaves a former master in the turn in which
 * the message is read. Each sentinel has a connection of its own for that, and nothing else is sent over it. Messages may be
 * lost, so the sentinels are also asked from time to time.
 */
import * as Effect from "effect/Effect"
import * as Decode from "../command/decode.js"
import { make as makeCommand } from "../command/raw.js"
import type { Dial } from "../connection/dial.js"
import type { Link } from "../connection/link.js"
import { reconnectSettings } from "../connection/pacer.js"
import { Reconnector } from "../connection/reconnect.js"
import { type Forker, interrupt, type Running } from "../effect/fork.js"
import * as Timers from "../engine/timers.js"
import { type Address, showAddress } from "../nodes/address.js"
import type { Push, Reply } from "../resp/values.js"
import { readAddress } from "./answer.js"

export interface WatchSettings {
  readonly name: string
  readonly dialTo: (sentinel: Address) => Dial
  /** Where the client reaches an address that a sentinel told. */
  readonly located: (address: Address) => Address
  /** Another server has become the master. */
  readonly announced: (from: Address, to: Address) => void
  /** Something else changed, or may have changed unseen. */
  readonly doubt: () => void
  readonly fork: Forker
}

/** How many sentinels are watched. */
const mostWatched = 5

const channels = ["+switch-master", "+slave", "+sdown", "-sdown", "+odown", "-odown", "+reboot", "+convert-to-slave"]

const subscribe = channels.map((channel) => makeCommand("SUBSCRIBE", { args: [channel] }))

interface Watched {
  readonly reconnector: Reconnector
  readonly running: Running
}

export class Watch {
  private readonly watched = new Map<string, Watched>()
  private closed = false

  constructor(private readonly settings: WatchSettings) {}

  /** Watches these sentinels from now on, the first ones when there are many. */
  follow(sentinels: ReadonlyArray<Address>): void {
    if (this.closed) {
      return
    }
    const wanted = new Map(sentinels.slice(0, mostWatched).map((sentinel) => [showAddress(sentinel), sentinel]))
    for (const [name, watched] of this.watched) {
      if (!wanted.has(name)) {
        this.watched.delete(name)
        this.end(watched)
      }
    }
    for (const [name, sentinel] of wanted) {
      if (!this.watched.has(name)) {
        this.watched.set(name, this.begin(sentinel))
      }
    }
  }

  private begin(sentinel: Address): Watched {
    const { dialTo, fork } = this.settings
    const reconnector = new Reconnector(dialTo(sentinel), reconnectSettings({}), {
      subject: "The connection to a sentinel",
      attach: (link) => this.attach(link),
      failWaiting: () => {}
    })
    return { reconnector, running: fork(Effect.interruptible(reconnector.keepConnected)) }
  }

  private attach(link: Link): void {
    link.engine.subscriber = true
    link.onPush({ onPush: (push) => this.onPush(push), onEnd: () => {} })
    for (const command of subscribe) {
      this.settings.fork(Effect.ignore(link.send(command)))
    }
    // What was announced before this connection was not heard.
    this.settings.doubt()
  }

  private onPush({ items, kind }: Push): void {
    if (kind !== "message") {
      return
    }
    const [, channel, payload] = items as ReadonlyArray<Reply>
    const words = Decode.text(payload ?? "").split(" ")
    if (Decode.text(channel ?? "") === "+switch-master") {
      const { announced, located, name } = this.settings
      const from = readAddress(words[1], words[2])
      const to = readAddress(words[3], words[4])
      if (words[0] === name && from !== undefined && to !== undefined) {
        announced(located(from), located(to))
      }
      return
    }
    this.settings.doubt()
  }

  private end({ reconnector, running }: Watched): void {
    interrupt(running)
    this.settings.fork(reconnector.close)
  }

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.closed = true
    const all = [...this.watched.values()]
    this.watched.clear()
    for (const { running } of all) {
      interrupt(running)
    }
    return Effect.forEach(all, ({ reconnector }) => reconnector.close, { concurrency: "unbounded", discard: true })
  })
}

export interface PollSettings {
  readonly ask: Effect.Effect<void>
  readonly fork: Forker
}

/** How often the sentinels are asked although nothing happened, and how often at most, in milliseconds. */
const pollMillis = 10_000
const leastGap = 200

/** Asks the sentinels from time to time, and soon after something happened. */
export class Poll {
  private timer: Timers.Timer | undefined
  private due = Infinity
  private running = false
  private wanted = false
  private began = -Infinity
  private closed = false

  constructor(private readonly settings: PollSettings) {}

  /** Asks for the first time after the usual pause. */
  start(): void {
    this.arm(pollMillis * (0.9 + Math.random() * 0.2))
  }

  /** Asks as soon as that is allowed. */
  readonly soon = (): void => {
    if (this.running) {
      this.wanted = true
    } else {
      this.arm(Math.max(this.began + leastGap - Timers.now(), 0))
    }
  }

  private arm(millis: number): void {
    const due = Timers.now() + millis
    if (this.closed || (this.timer !== undefined && this.due <= due)) {
      return
    }
    Timers.clearTimeout(this.timer)
    this.due = due
    this.timer = Timers.setTimeout(this.run, millis)
  }

  private readonly run = (): void => {
    this.timer = undefined
    this.running = true
    this.began = Timers.now()
    this.settings.fork(
      Effect.ensuring(
        this.settings.ask,
        Effect.sync(() => {
          this.running = false
          this.start()
          if (this.wanted) {
            this.wanted = false
            this.soon()
          }
        })
      )
    )
  }

  end(): void {
    this.closed = true
    Timers.clearTimeout(this.timer)
  }
}
