/**
 * How testing starts processes and reaches the file system. Effect 4's own spawner keeps a started process for a second
 * after its end, while it waits for its process group; Node's is used directly.
 */
import * as NodeChildProcess from "node:child_process"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import * as PlatformError from "effect/PlatformError"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** What starts processes: nothing that the platform provides. */
export type Spawner = FileSystem.FileSystem

/** What testing needs of the platform. */
export type Platform = FileSystem.FileSystem

/** The platform on Node. */
export const platform: Layer.Layer<Platform> = NodeFileSystem.layer

export type SpawnError = PlatformError.PlatformError

/** A program and its arguments. */
export type Program = readonly [executable: string, ...args: ReadonlyArray<string>]

const spawnError = (executable: string, error: NodeJS.ErrnoException): SpawnError =>
  PlatformError.systemError({
    _tag: error.code === "ENOENT" ? "NotFound" : error.code === "EACCES" ? "PermissionDenied" : "Unknown",
    module: "Command",
    method: "spawn",
    description: error.message,
    pathOrDescriptor: executable,
    cause: error
  })

const spawned = (
  executable: string,
  args: ReadonlyArray<string>
): Effect.Effect<NodeChildProcess.ChildProcess, SpawnError> =>
  Effect.callback((resume) => {
    const child = NodeChildProcess.spawn(executable, args, { detached: true, stdio: "pipe" })
    child.once("error", (error) => resume(Effect.fail(spawnError(executable, error))))
    child.once("spawn", () => resume(Effect.succeed(child)))
  })

/** Runs a program to its end, and returns what it printed. */
export const outputOf = (...[executable, ...args]: Program): Effect.Effect<string, SpawnError, Spawner> =>
  Effect.scoped(
    Effect.flatMap(start(executable, ...args), ({ stdout }) => Stream.mkString(Stream.decodeText(Stream.orDie(stdout))))
  )

/** A process that was started. It leads a process group of its own. */
export interface Spawned {
  readonly pid: number
  readonly stdout: Stream.Stream<Uint8Array, unknown>
  readonly stderr: Stream.Stream<Uint8Array, unknown>
  /** Waits for its end. */
  readonly ended: Effect.Effect<unknown>
}

const endOf = (child: NodeChildProcess.ChildProcess): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      return resume(Effect.void)
    }
    const ended = (): void => resume(Effect.void)
    child.once("exit", ended)
    return Effect.sync(() => child.off("exit", ended))
  })

const outputFrom = (readable: NodeJS.ReadableStream | null): Stream.Stream<Uint8Array> =>
  Stream.callback<Uint8Array>((queue) =>
    Effect.sync(() => {
      readable?.on("data", (chunk: Buffer) => Queue.offerUnsafe(queue, chunk))
      readable?.once("close", () => Queue.endUnsafe(queue))
    })
  )

/** Starts a program. When the scope closes, the process is ended, and its end is waited for. */
export const start = (...[executable, ...args]: Program): Effect.Effect<Spawned, SpawnError, Spawner | Scope.Scope> =>
  Effect.acquireRelease(spawned(executable, args), (child) =>
    Effect.suspend(() => {
      child.kill("SIGTERM")
      return endOf(child)
    })
  ).pipe(
    Effect.map((child) => ({
      pid: child.pid as number,
      stdout: outputFrom(child.stdout),
      stderr: outputFrom(child.stderr),
      ended: endOf(child)
    }))
  )
