/**
 * How testing starts processes and reaches the file system. Effect 4 has these modules elsewhere, and there a command
 * is itself the Effect that starts it; used by `RedisServer`.
 */
import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as PlatformError from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import * as NodeCommandExecutor from "@effect/platform-node/NodeCommandExecutor"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"

/** What starts processes. */
export type Spawner = CommandExecutor.CommandExecutor

/** What testing needs of the platform. */
export type Platform = FileSystem.FileSystem | Spawner

/** The platform on Node. */
export const platform: Layer.Layer<Platform> = Layer.provideMerge(NodeCommandExecutor.layer, NodeFileSystem.layer)

export type SpawnError = PlatformError.PlatformError

/** A program and its arguments. */
export type Program = readonly [executable: string, ...args: ReadonlyArray<string>]

/** Runs a program to its end, and returns what it printed. */
export const outputOf = (...[executable, ...args]: Program): Effect.Effect<string, SpawnError, Spawner> =>
  Command.string(Command.make(executable, ...args))

/** A process that was started. It leads a process group of its own. */
export interface Spawned {
  readonly pid: number
  readonly stdout: Stream.Stream<Uint8Array, unknown>
  readonly stderr: Stream.Stream<Uint8Array, unknown>
  /** Waits for its end. */
  readonly ended: Effect.Effect<unknown>
}

/** Starts a program. When the scope closes, the process is ended, and its end is waited for. */
export const start = (...[executable, ...args]: Program): Effect.Effect<Spawned, SpawnError, Spawner | Scope.Scope> =>
  Effect.map(Command.start(Command.make(executable, ...args)), ({ exitCode, pid, stderr, stdout }) => ({
    pid,
    stdout,
    stderr,
    ended: Effect.exit(exitCode)
  }))
