/** How testing starts processes and reaches the file system. */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as PlatformError from "effect/PlatformError"
import * as ChildProcess from "effect/process/ChildProcess"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"

/** What starts processes. */
export type Spawner = ChildProcessSpawner.ChildProcessSpawner

/** What testing needs of the platform. */
export type Platform = FileSystem.FileSystem | Spawner

/** The platform on Node. */
export const platform: Layer.Layer<Platform> = NodeChildProcessSpawner.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer))
)

export type SpawnError = PlatformError.PlatformError

/** A program and its arguments. */
export type Program = readonly [executable: string, ...args: ReadonlyArray<string>]

/** Runs a program to its end, and returns what it printed. */
export const outputOf = (...[executable, ...args]: Program): Effect.Effect<string, SpawnError, Spawner> =>
  Effect.flatMap(ChildProcessSpawner.ChildProcessSpawner, (spawner) =>
    spawner.string(ChildProcess.make(executable, args))
  )

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
  Effect.map(ChildProcess.make(executable, args, { detached: true }), ({ exitCode, pid, stderr, stdout }) => ({
    pid,
    stdout,
    stderr,
    ended: Effect.exit(exitCode)
  }))
