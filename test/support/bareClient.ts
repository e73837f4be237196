/**
 * The smallest client there can be: one socket, the real encoder and parser, a queue. What the commands are tested over
 * while nothing else shall be in the way; it has no deadlines, no retries and no limits.
 */
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { EncodeFailure, encode } from "../../src/internal/encoder.js"
import { Parser } from "../../src/internal/parser.js"
import { type BatchResult, Redis, type RedisService } from "../../src/internal/service.js"
import { ErrorReply, type Reply } from "../../src/internal/values.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import { ConnectionError, type RedisError, type UsageError } from "../../src/RedisError.js"

export interface Address {
  readonly host: string
  readonly port: number
}

interface Waiter {
  readonly text: boolean
  readonly settle: (reply: Reply | ConnectionError) => void
}

class BareConnection {
  private readonly waiting: Array<Waiter> = []
  private readonly parser: Parser
  private ended: ConnectionError | undefined

  constructor(private readonly socket: Net.Socket) {
    this.parser = new Parser({
      onReply: (reply) => {
        const waiter = this.waiting.shift()
        this.parser.text = this.waiting[0]?.text ?? true
        waiter?.settle(reply)
      },
      onPush: () => {},
      onAttribute: () => {}
    })
    socket.on("data", (chunk: Buffer) => {
      const failure = this.parser.write(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength))
      if (failure !== undefined) {
        this.end(failure.reason)
      }
    })
    socket.on("error", (error) => this.end(error.message))
    socket.on("close", () => this.end("closed"))
  }

  end(message: string): void {
    this.ended ??= new ConnectionError({ reason: "peerClosed", delivery: "unknown", message })
    this.socket.destroy()
    for (const waiter of this.waiting.splice(0)) {
      waiter.settle(this.ended)
    }
  }

  request(command: RedisCommand.RedisCommand<unknown>, settle: Waiter["settle"]): void {
    const encoded = encode(RedisCommand.specFor(command), command.args)
    if (this.ended !== undefined || encoded instanceof EncodeFailure) {
      settle(
        this.ended ??
          new ConnectionError({ reason: "transport", delivery: "unsent", message: "the command does not encode" })
      )
      return
    }
    if (this.waiting.length === 0) {
      this.parser.text = command.text
    }
    this.waiting.push({ text: command.text, settle })
    for (const part of typeof encoded === "string" ? [encoded] : encoded) {
      this.socket.write(part)
    }
  }
}

const decode = <A>(command: RedisCommand.RedisCommand<A>, reply: Reply | ConnectionError): Exit.Exit<A, RedisError> =>
  reply instanceof ConnectionError ? Exit.fail(reply) : RedisCommand.decode(command, reply)

const problemOf = (commands: ReadonlyArray<RedisCommand.RedisCommand<unknown>>): UsageError | undefined =>
  commands.find(({ problem }) => problem !== undefined)?.problem

const multi = RedisCommand.make("MULTI")
const exec = RedisCommand.make("EXEC")

const serviceOf = (address: Address, protocol: 2 | 3, connection: BareConnection): RedisService => ({
  send: (command) =>
    Effect.async((resume) => {
      if (command.problem !== undefined) {
        resume(Effect.fail(command.problem))
      } else {
        connection.request(command, (reply) => resume(decode(command, reply)))
      }
    }),
  sendAll: (commands, { atomic }) =>
    Effect.async<BatchResult, RedisError>((resume) => {
      const problem = problemOf(commands)
      if (problem !== undefined) {
        resume(Effect.fail(problem))
        return
      }
      const exits: Array<Exit.Exit<unknown, RedisError>> = []
      const executed = () => resume(Effect.succeed({ outcome: "executed", exits }))
      if (atomic) {
        connection.request(multi, () => {})
        for (const command of commands) {
          connection.request(command, () => {})
        }
        connection.request(exec, (reply) => {
          if (reply === null) {
            resume(Effect.succeed({ outcome: "conflict", exits }))
          } else if (reply instanceof ErrorReply) {
            resume(Effect.succeed({ outcome: "discarded", exits }))
          } else if (reply instanceof ConnectionError) {
            resume(Effect.fail(reply))
          } else {
            commands.forEach((command, i) => {
              exits.push(decode(command, (reply as ReadonlyArray<Reply>)[i] as Reply))
            })
            executed()
          }
        })
        return
      }
      if (commands.length === 0) {
        executed()
      }
      for (const command of commands) {
        connection.request(command, (reply) => {
          if (exits.push(decode(command, reply)) === commands.length) {
            executed()
          }
        })
      }
    }),
  lease: Effect.suspend(() => bareClient(address, protocol))
})

const open = (address: Address): Effect.Effect<BareConnection, RedisError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<BareConnection, RedisError>((resume) => {
      const socket = Net.connect({ ...address, noDelay: true })
      const connection = new BareConnection(socket)
      socket.once("connect", () => resume(Effect.succeed(connection)))
      socket.once("error", (error) =>
        resume(Effect.fail(new ConnectionError({ reason: "connect", delivery: "unsent", message: error.message })))
      )
    }),
    (connection) => Effect.sync(() => connection.end("released"))
  )

/** A client on a socket of its own, until the scope closes. */
export const bareClient = (address: Address, protocol: 2 | 3): Effect.Effect<RedisService, RedisError, Scope.Scope> =>
  Effect.gen(function* () {
    const service = serviceOf(address, protocol, yield* open(address))
    if (protocol === 3) {
      yield* service.send(RedisCommand.make("HELLO", { args: ["3"] }))
    }
    return service
  })

export const layer = (address: Address, protocol: 2 | 3): Layer.Layer<Redis, RedisError> =>
  Layer.scoped(Redis, bareClient(address, protocol))
