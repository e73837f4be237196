/*
 * The fault proxy in plain JavaScript: a listener, and for each connection two sockets and two pipes. It uses timers of
 * JavaScript, and passes bytes without reading them, so it works with TLS too.
 */

import * as Net from "node:net"

/** The direction of bytes. */
export type Direction = "toServer" | "toClient"

/** How a connection ends, or appears to stay open. */
export type Ending = "reset" | "close" | "halfClose" | "blackHole"

/** A fault. Times are milliseconds. */
export type Fault =
  | { readonly _tag: "Latency"; readonly millis: number; readonly jitter: number }
  | { readonly _tag: "Bandwidth"; readonly bytesPerSecond: number }
  | { readonly _tag: "Split"; readonly size: number }
  | { readonly _tag: "Stall" }
  | { readonly _tag: "BlackHole" }
  | { readonly _tag: "Corrupt"; readonly offset: number; readonly xor: number }
  | { readonly _tag: "Cut"; readonly after: number; readonly ending: Ending }
  | { readonly _tag: "End"; readonly ending: "reset" | "close" | "halfClose" }
  | { readonly _tag: "Refuse" }
  | { readonly _tag: "After"; readonly bytes: number; readonly fault: Fault; readonly direction: Direction | "both" }

/** Where the proxy connects to. */
export type Target =
  | { readonly host?: string | undefined; readonly port: number; readonly path?: undefined }
  | { readonly path: string; readonly host?: undefined; readonly port?: undefined }

/** What passed through a connection. */
export interface ConnectionStats {
  /** Counted from 0, in order of arrival. */
  readonly id: number
  readonly bytesToServer: number
  readonly bytesToClient: number
  /** Bytes that were read and not passed on, in both directions together. */
  readonly swallowed: number
}

export interface CoreStats {
  readonly accepted: number
  readonly open: number
  readonly unreachable: number
  readonly bytesToServer: number
  readonly bytesToClient: number
  readonly swallowed: number
}

export interface CoreOptions {
  readonly target: Target
  readonly host: string
  readonly seed: number
}

/** When this many bytes wait in a pipe, it stops reading: further bytes wait at their sender. */
const fullAt = 256 * 1024

/** With a limited bandwidth, bytes are sent in this many pieces a second. */
const piecesPerSecond = 100

/** Numbers from 0 to 1, the same for the same seed. */
const randomFrom = (seed: number) => {
  let state = seed | 0
  return (): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

interface Item {
  bytes: Uint8Array
  /** When the bytes may pass. */
  readonly at: number
  /** Called when the bytes have been written. */
  readonly then: (() => void) | undefined
}

/** One direction of one connection. */
class Pipe {
  forwarded = 0
  swallowed = 0
  /** The pipe reads and forwards nothing, not even the end of the source. */
  private dark = false
  private stalled = false
  private latency = 0
  private jitter = 0
  private bytesPerSecond = Number.POSITIVE_INFINITY
  private pieceSize = Number.POSITIVE_INFINITY
  private corruptions: Array<{ offset: number; readonly xor: number }> = []
  private cuts: Array<{ left: number; readonly ending: Ending }> = []
  private later: Array<{ left: number; readonly fault: Fault; readonly direction: Direction | "both" }> = []

  private queue: Array<Item> = []
  private queued = 0
  /** When the bytes that were queued last may pass: later bytes never overtake them. */
  private lastAt = 0
  /** When the bandwidth allows the next piece. */
  private freeAt = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private immediate: ReturnType<typeof setImmediate> | undefined
  private finished = false

  constructor(
    private readonly relay: Relay,
    private readonly source: Net.Socket,
    private readonly sink: Net.Socket,
    private readonly random: () => number
  ) {
    source.on("data", (bytes) => this.arrived(bytes as Uint8Array))
    source.on("end", () => this.sourceEnded())
    sink.on("drain", () => this.pump())
  }

  add(fault: Fault): void {
    switch (fault._tag) {
      case "Latency":
        this.latency += fault.millis
        this.jitter += fault.jitter
        return
      case "Bandwidth":
        this.bytesPerSecond = Math.min(this.bytesPerSecond, fault.bytesPerSecond)
        return
      case "Split":
        this.pieceSize = Math.min(this.pieceSize, fault.size)
        return
      case "Stall":
        this.stalled = true
        return this.updateReading()
      case "BlackHole":
        return this.darken()
      case "Corrupt":
        this.corruptions.push({ offset: fault.offset, xor: fault.xor })
        return
      case "Cut":
        this.cuts.push({ left: fault.after, ending: fault.ending })
        return
      case "End":
        return this.relay.end(fault.ending, this)
      case "After":
        this.later.push({ left: fault.bytes, fault: fault.fault, direction: fault.direction })
    }
  }

  /** Ends all faults. Delayed bytes pass at once. */
  heal(): void {
    this.latency = 0
    this.jitter = 0
    this.bytesPerSecond = Number.POSITIVE_INFINITY
    this.pieceSize = Number.POSITIVE_INFINITY
    this.corruptions = []
    this.cuts = []
    this.later = []
    this.stalled = false
    this.lastAt = 0
    this.freeAt = 0
    this.queue = this.queue.map((item) => ({ ...item, at: 0 }))
    this.pump()
  }

  /** From now on bytes are swallowed, and neither side is informed. */
  darken(): void {
    this.dark = true
    this.relay.broken = true
    this.dropQueue()
    this.updateReading()
  }

  /** Sends a FIN after the queued bytes; later bytes are thrown away. */
  finish(): void {
    if (!this.finished) {
      this.finished = true
      this.push(new Uint8Array(0), () => this.sink.end())
    } else if (this.queue.length === 0) {
      // A cut was queued last, and all bytes before it have passed.
      this.sink.end()
    }
  }

  /** Whether the other side is informed when the source ends. */
  get informs(): boolean {
    return !this.dark
  }

  dispose(): void {
    this.dark = true
    this.dropQueue()
  }

  private dropQueue(): void {
    clearTimeout(this.timer)
    clearImmediate(this.immediate)
    this.timer = undefined
    this.immediate = undefined
    this.swallowed += this.queued
    this.queue = []
    this.queued = 0
  }

  private sourceEnded(): void {
    if (!this.dark && !this.finished) {
      this.finish()
    }
    this.relay.changed()
  }

  /** Begins faults that were injected with `after` between the bytes where they are due. */
  private arrived(bytes: Uint8Array): void {
    let rest = bytes
    while (this.later.length > 0 && rest.length > 0) {
      const at = Math.min(...this.later.map(({ left }) => left))
      if (at >= rest.length) {
        break
      }
      if (at > 0) {
        this.receive(rest.subarray(0, at))
        rest = rest.subarray(at)
      }
      const due = this.later.filter(({ left }) => left === at)
      this.later = this.later.filter(({ left }) => left !== at)
      for (const one of this.later) {
        one.left -= at
      }
      for (const { direction, fault } of due) {
        this.relay.add(fault, direction)
      }
    }
    for (const one of this.later) {
      one.left -= rest.length
    }
    this.receive(rest)
  }

  private receive(bytes: Uint8Array): void {
    if (this.dark || this.finished) {
      this.relay.broken = true
      this.swallowed += bytes.length
      return this.relay.changed()
    }
    const changed = this.corrupted(bytes)
    const cut = this.nextCut(bytes.length)
    if (cut === undefined) {
      this.push(changed, undefined)
    } else {
      const passing = changed.subarray(0, cut.left)
      this.swallowed += bytes.length - passing.length
      // Queued bytes are sent first: the cut comes after them.
      this.finished = true
      this.relay.broken = true
      this.push(passing, () => this.relay.end(cut.ending, this))
    }
    this.relay.changed()
  }

  private corrupted(bytes: Uint8Array): Uint8Array {
    let changed = bytes
    this.corruptions = this.corruptions.filter((corruption) => {
      if (corruption.offset >= bytes.length) {
        corruption.offset -= bytes.length
        return true
      }
      if (changed === bytes) {
        changed = Uint8Array.from(bytes)
      }
      changed[corruption.offset] = (changed[corruption.offset] as number) ^ corruption.xor
      return false
    })
    return changed
  }

  /** The cut that these bytes reach: by their last byte, or by their first one when no byte may pass. */
  private nextCut(length: number): { readonly left: number; readonly ending: Ending } | undefined {
    let next: { left: number; readonly ending: Ending } | undefined
    for (const cut of this.cuts) {
      if (cut.left <= length && (next === undefined || cut.left < next.left)) {
        next = cut
      }
    }
    if (next === undefined) {
      for (const cut of this.cuts) {
        cut.left -= length
      }
    }
    return next
  }

  private push(bytes: Uint8Array, then: Item["then"]): void {
    const now = performance.now()
    const delay = this.latency + (this.jitter === 0 ? 0 : this.jitter * this.random())
    const at = delay === 0 ? this.lastAt : Math.max(this.lastAt, now + delay)
    this.lastAt = at
    this.queue.push({ bytes, at, then })
    this.queued += bytes.length
    this.pump()
  }

  private readonly pump = (): void => {
    clearTimeout(this.timer)
    this.timer = undefined
    if (this.immediate !== undefined) {
      return
    }
    for (let item = this.queue[0]; item !== undefined; item = this.queue[0]) {
      if (this.sink.destroyed) {
        this.dropQueue()
        break
      }
      if (this.stalled) {
        break
      }
      const now = performance.now()
      const wait = Math.max(item.at, item.bytes.length > 0 ? this.freeAt : 0) - now
      if (wait > 0) {
        this.timer = setTimeout(this.pump, Math.ceil(wait))
        break
      }
      if (this.sink.writableNeedDrain) {
        break
      }
      const most = Math.min(this.pieceSize, Math.max(1, Math.ceil(this.bytesPerSecond / piecesPerSecond)))
      const piece = item.bytes.length > most ? item.bytes.subarray(0, most) : item.bytes
      const last = piece.length === item.bytes.length
      const then = last ? item.then : undefined
      if (last) {
        this.queue.shift()
      } else {
        item.bytes = item.bytes.subarray(most)
      }
      this.queued -= piece.length
      this.write(piece, then)
      if (this.bytesPerSecond !== Number.POSITIVE_INFINITY) {
        this.freeAt = Math.max(now, this.freeAt) + (piece.length * 1000) / this.bytesPerSecond
      }
      if (this.pieceSize !== Number.POSITIVE_INFINITY && this.queue.length > 0) {
        // Each piece gets a turn of the event loop, so that the reader receives it by itself.
        this.immediate = setImmediate(() => {
          this.immediate = undefined
          this.pump()
        })
        break
      }
    }
    this.updateReading()
  }

  private write(bytes: Uint8Array, then: (() => void) | undefined): void {
    if (bytes.length === 0) {
      return then?.()
    }
    this.forwarded += bytes.length
    // A reset throws away bytes that the kernel does not have yet, so it waits until they are written.
    this.sink.write(bytes, then === undefined ? undefined : () => then())
    this.relay.changed()
  }

  private updateReading(): void {
    if (this.stalled || (!this.dark && (this.queued >= fullAt || this.sink.writableNeedDrain))) {
      this.source.pause()
    } else {
      this.source.resume()
    }
  }
}

/** A socket that is shutting down is destroyed instead: Node would keep it for ever when it is reset. */
const resetNow = (socket: Net.Socket): void => {
  if (socket.writableEnded || socket.destroyed) {
    socket.destroy()
  } else {
    socket.resetAndDestroy()
  }
}

/** One connection: the client's socket, the socket to the server, and the pipes between them. */
export class Relay {
  readonly toServer: Pipe
  readonly toClient: Pipe
  /** Bytes are missing, so the connection cannot go on when the proxy is healed. */
  broken = false
  private clientOpen = true
  private serverOpen = true

  constructor(
    private readonly core: ProxyCore,
    readonly id: number,
    private readonly client: Net.Socket,
    private readonly server: Net.Socket,
    seed: number
  ) {
    this.toServer = new Pipe(this, client, server, randomFrom(seed))
    this.toClient = new Pipe(this, server, client, randomFrom(seed + 1))
    client.on("error", () => this.failed(this.toServer, server))
    server.on("error", () => this.failed(this.toClient, client))
    client.on("close", () => {
      this.clientOpen = false
      this.closed()
    })
    server.on("close", () => {
      this.serverOpen = false
      this.closed()
    })
  }

  /** Whether the client has not ended it. */
  get open(): boolean {
    return !this.client.destroyed && !this.client.readableEnded
  }

  get stats(): ConnectionStats {
    return {
      id: this.id,
      bytesToServer: this.toServer.forwarded,
      bytesToClient: this.toClient.forwarded,
      swallowed: this.toServer.swallowed + this.toClient.swallowed
    }
  }

  add(fault: Fault, direction: Direction | "both"): void {
    if (fault._tag === "Refuse") {
      return this.core.refuse()
    }
    // These faults end the whole connection, so they are added once.
    if (direction === "both" && fault._tag === "End" && fault.ending !== "halfClose") {
      return this.toServer.add(fault)
    }
    if (direction !== "toClient") {
      this.toServer.add(fault)
    }
    if (direction !== "toServer") {
      this.toClient.add(fault)
    }
  }

  end(ending: Ending, pipe: Pipe): void {
    switch (ending) {
      case "reset":
        return this.reset()
      case "close":
        this.broken = true
        this.toServer.finish()
        this.toClient.finish()
        return
      case "halfClose":
        this.broken = true
        pipe.finish()
        return
      case "blackHole":
        this.toServer.darken()
        this.toClient.darken()
    }
  }

  heal(): void {
    if (this.broken) {
      return this.reset()
    }
    this.toServer.heal()
    this.toClient.heal()
  }

  reset(): void {
    this.toServer.dispose()
    this.toClient.dispose()
    resetNow(this.client)
    resetNow(this.server)
    this.changed()
  }

  changed(): void {
    this.core.changed()
  }

  /** One side was reset: the other is reset too, unless a black hole is between them. */
  private failed(pipe: Pipe, other: Net.Socket): void {
    if (pipe.informs) {
      this.toServer.dispose()
      this.toClient.dispose()
      resetNow(other)
    }
  }

  private closed(): void {
    if (!this.clientOpen && !this.serverOpen) {
      this.toServer.dispose()
      this.toClient.dispose()
      this.core.forget(this)
    }
    this.changed()
  }
}

/** A fault for new connections. */
interface Rule {
  readonly fault: Fault
  readonly direction: Direction | "both"
  /** How many more connections have the fault. */
  left: number
}

/** Where a fault applies. */
export interface Where {
  readonly direction: Direction | "both"
  readonly on: "live" | "new" | "all" | number
  /** How many of the new connections have the fault. */
  readonly times: number
}

export class ProxyCore {
  port = 0
  private listener: Net.Server | undefined
  private readonly relays = new Map<number, Relay>()
  private rules: Array<Rule> = []
  private accepted = 0
  private unreachable = 0
  /** The sums of connections that have ended. */
  private past = { bytesToServer: 0, bytesToClient: 0, swallowed: 0 }
  private readonly observers = new Set<() => void>()
  private closed = false

  constructor(private readonly options: CoreOptions) {}

  get stats(): CoreStats {
    const sum = { ...this.past }
    let open = 0
    for (const relay of this.relays.values()) {
      const { bytesToClient, bytesToServer, swallowed } = relay.stats
      sum.bytesToServer += bytesToServer
      sum.bytesToClient += bytesToClient
      sum.swallowed += swallowed
      open += relay.open ? 1 : 0
    }
    return { accepted: this.accepted, open, unreachable: this.unreachable, ...sum }
  }

  get connections(): ReadonlyArray<ConnectionStats> {
    return [...this.relays.values()].map((relay) => relay.stats)
  }

  /** Listens; port 0 means any free port. `done` gets the problem if there is one. */
  listen(port: number, done: (problem: Error | undefined) => void): void {
    if (this.listener !== undefined || this.closed) {
      return done(undefined)
    }
    const listener = Net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.accept(socket))
    this.listener = listener
    listener.once("error", (problem) => {
      this.listener = undefined
      done(problem)
    })
    listener.listen({ host: this.options.host, port }, () => {
      const address = listener.address()
      this.port = typeof address === "object" && address !== null ? address.port : port
      done(undefined)
    })
  }

  private accept(client: Net.Socket): void {
    const id = this.accepted++
    const { target } = this.options
    const server = Net.connect(
      target.path === undefined
        ? { host: target.host ?? "127.0.0.1", port: target.port, allowHalfOpen: true, noDelay: true }
        : { path: target.path, allowHalfOpen: true }
    )
    const unreachable = (): void => {
      this.unreachable++
    }
    server.once("error", unreachable)
    server.once("connect", () => server.off("error", unreachable))
    const relay = new Relay(this, id, client, server, this.options.seed + 2 * id)
    this.relays.set(id, relay)
    for (const rule of this.rules) {
      rule.left--
      relay.add(rule.fault, rule.direction)
    }
    this.rules = this.rules.filter(({ left }) => left > 0)
    this.changed()
  }

  inject(fault: Fault, { direction, on, times }: Where): void {
    if (this.closed) {
      return
    }
    if (fault._tag === "Refuse") {
      return this.refuse()
    }
    if (on === "new" || on === "all") {
      this.rules.push({ fault, direction, left: times })
    }
    for (const relay of [...this.relays.values()]) {
      if (on === "all" || on === "live" || on === relay.id) {
        relay.add(fault, direction)
      }
    }
  }

  /** Stops listening. */
  refuse(): void {
    this.listener?.close()
    this.listener = undefined
  }

  /** Ends all faults. Connections that lost bytes are reset. */
  heal(done: (problem: Error | undefined) => void): void {
    this.rules = []
    for (const relay of [...this.relays.values()]) {
      relay.heal()
    }
    this.listen(this.port, done)
  }

  observe(observer: () => void): () => void {
    this.observers.add(observer)
    return () => this.observers.delete(observer)
  }

  changed(): void {
    for (const observer of [...this.observers]) {
      observer()
    }
  }

  forget(relay: Relay): void {
    if (this.relays.delete(relay.id)) {
      const { bytesToClient, bytesToServer, swallowed } = relay.stats
      this.past.bytesToServer += bytesToServer
      this.past.bytesToClient += bytesToClient
      this.past.swallowed += swallowed
    }
  }

  close(done: () => void): void {
    this.closed = true
    for (const relay of [...this.relays.values()]) {
      relay.reset()
    }
    const { listener } = this
    this.listener = undefined
    if (listener === undefined) {
      return done()
    }
    listener.close(() => done())
  }
}
