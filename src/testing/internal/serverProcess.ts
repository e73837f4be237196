/*
 * One run of a server's process, watched with plain callbacks and engine timers.
 *
 * Why not fibers and Effect.timeout: all of this also runs in finalizers, where a race cannot interrupt its loser, and
 * in tests whose clock stands still.
 */

import * as Net from "node:net"
import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as PlatformError from "@effect/platform/Error"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** How much of a server's output is kept. */
const logLimit = 64 * 1024

/** The last of what a server printed, over all its runs. */
export class ServerLog {
  private text = ""
  /** Everything from here on belongs to the current run. */
  private mark = 0

  append(chunk: string): void {
    this.text += chunk
    const excess = this.text.length - logLimit
    if (excess > 0) {
      this.text = this.text.slice(excess)
      this.mark = Math.max(0, this.mark - excess)
    }
  }

  startRun(): void {
    this.mark = this.text.length
  }

  get all(): string {
    return this.text
  }

  get thisRun(): string {
    return this.text.slice(this.mark)
  }

  tail(lines: number): string {
    return this.thisRun.trimEnd().split("\n").slice(-lines).join("\n")
  }
}

/** A started process. */
export class ServerProcess {
  private ended = false
  private readonly observers = new Set<() => void>()

  constructor(readonly pid: number) {}

  get hasExited(): boolean {
    return this.ended
  }

  markExited(): void {
    this.ended = true
    for (const observer of [...this.observers]) observer()
    this.observers.clear()
  }

  onExit(observer: () => void): () => void {
    if (this.ended) {
      observer()
      return () => {}
    }
    this.observers.add(observer)
    return () => {
      this.observers.delete(observer)
    }
  }

  /**
   * Sends a signal; false when there is no such process any more. What ends the server on the spot ends the children
   * with which it writes its files, too: the executor makes each process the leader of its group.
   */
  signal(signal: NodeJS.Signals): boolean {
    if (this.ended) return false
    try {
      return process.kill(signal === "SIGKILL" ? -this.pid : this.pid, signal)
    } catch {
      return false
    }
  }
}

/** Sleeps by an engine timer: a test's clock may stand still. */
export const sleep = (millis: number): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })

/** Waits for the end of a process, at most so long; whether it ended. */
export const awaitExit = (running: ServerProcess, millis: number): Effect.Effect<boolean> =>
  Effect.async<boolean>((resume) => {
    let forget = () => {}
    const timer = setTimeout(() => {
      forget()
      resume(Effect.succeed(false))
    }, millis)
    forget = running.onExit(() => {
      clearTimeout(timer)
      resume(Effect.succeed(true))
    })
    return Effect.sync(() => {
      clearTimeout(timer)
      forget()
    })
  })

/**
 * Asks the process to end and makes it end after a while. A stopped process (SIGSTOP) would never see the polite signal,
 * so it is woken first.
 */
export const terminate = (running: ServerProcess, graceMillis: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (graceMillis > 0) {
      running.signal("SIGCONT")
      running.signal("SIGTERM")
      if (yield* awaitExit(running, graceMillis)) return
    }
    running.signal("SIGKILL")
    yield* awaitExit(running, 5_000)
  })

/*
 * Runs a server so that it cannot outlive us. A finalizer does not run when this process is killed, and then its end of
 * the pipe at fd 0 closes: a shell in the background waits for that, ends a server that is still there, and removes its
 * folder. When the server ends first, Node closes the pipe as well, and there is nothing left to do. The server takes
 * the place of the outer shell (exec), so the process that we know is the server.
 */
const guardScript = `
folder=$1
shift
exec 3<&0 </dev/null
(
  read -r _ <&3
  if kill -0 $$; then
    kill -9 $$
    rm -rf -- "$folder"
  fi
) >/dev/null 2>&1 &
exec 3<&-
exec "$@"
`

/** A command that runs a server, and ends it and removes the folder when this process dies. */
export const guarded = (folder: string, executable: string, ...args: ReadonlyArray<string>): Command.Command =>
  Command.make("/bin/sh", "-c", guardScript, "guard", folder, executable, ...args)

/**
 * Starts a command. Its output goes to the log. The returned process is not tied to a scope: whoever starts it must
 * terminate it, because the executor's own finalizer waits without a bound.
 */
export const spawn = (
  command: Command.Command,
  log: ServerLog
): Effect.Effect<ServerProcess, PlatformError.PlatformError, CommandExecutor.CommandExecutor> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      log.startRun()
      const started = yield* Command.start(command).pipe(
        Scope.extend(scope),
        Effect.tapErrorCause(() => Scope.close(scope, Exit.void))
      )
      const running = new ServerProcess(started.pid)
      const decoder = { stdout: new TextDecoder(), stderr: new TextDecoder() }
      const read = (from: "stdout" | "stderr") =>
        started[from].pipe(
          Stream.runForEach((chunk) => Effect.sync(() => log.append(decoder[from].decode(chunk, { stream: true })))),
          Effect.ignore,
          Effect.interruptible,
          Effect.forkDaemon
        )
      // unread pipes would fill up and block the server
      const readers = [yield* read("stdout"), yield* read("stderr")]
      yield* started.exitCode.pipe(
        Effect.exit,
        // the last words come after the exit; a child of the server may hold the pipe open, so not for ever
        Effect.zipRight(Effect.raceFirst(Fiber.awaitAll(readers), sleep(500))),
        Effect.zipRight(Fiber.interruptAll(readers)),
        Effect.zipRight(Scope.close(scope, Exit.void)),
        Effect.ensuring(Effect.sync(() => running.markExited())),
        Effect.interruptible,
        Effect.forkDaemon
      )
      return running
    })
  )

/** What became of a process that was started. */
export type Readiness = "ready" | "exited" | "late"

/**
 * Asks over the server's own unix socket until it answers. The socket lies in a folder that only this server knows, so
 * the answer cannot come from another server, as it could on a port that was lost to someone else.
 */
export const awaitReady = (
  running: ServerProcess,
  options: {
    readonly socketPath: string
    readonly password: string | undefined
    readonly millis: number
    /** Whether its log says that it takes connections: all there is to go by when it refuses to talk to us. */
    readonly logSaysReady: () => boolean
  }
): Effect.Effect<Readiness> =>
  Effect.async<Readiness>((resume) => {
    let socket: Net.Socket | undefined
    let retry: NodeJS.Timeout | undefined
    let forget = () => {}
    let settled = false
    const cleanup = () => {
      settled = true // the socket's close event comes later, and must not ask again
      clearTimeout(deadline)
      clearTimeout(retry)
      forget()
      socket?.destroy()
    }
    const settle = (outcome: Readiness) => {
      cleanup()
      resume(Effect.succeed(outcome))
    }
    const ask = () => {
      let answer = ""
      let over = false
      const again = () => {
        if (over || settled) return
        over = true
        asked.destroy()
        retry = setTimeout(ask, 5)
      }
      const asked = Net.connect({ path: options.socketPath })
      socket = asked
      asked.setEncoding("latin1")
      asked.on("error", again)
      asked.on("close", again)
      asked.on("connect", () => asked.write(greeting))
      asked.on("data", (chunk: string) => {
        answer += chunk
        if (answer.includes("+PONG\r\n") || (/-NO(AUTH|PERM)/.test(answer) && options.logSaysReady())) {
          over = true
          settle("ready")
        } else if (/^-(?!ERR AUTH|WRONGPASS)/m.test(answer)) {
          again() // loading, busy, or refusing without having said that it is ready
        }
      })
    }
    const greeting =
      options.password === undefined
        ? "PING\r\n"
        : `*2\r\n$4\r\nAUTH\r\n$${Buffer.byteLength(options.password)}\r\n${options.password}\r\n*1\r\n$4\r\nPING\r\n`
    const deadline = setTimeout(() => settle("late"), options.millis)
    forget = running.onExit(() => settle("exited"))
    if (!running.hasExited) ask()
    return Effect.sync(cleanup)
  })
