/*
 * The process of a server, watched with plain callbacks and timers of JavaScript.
 *
 * It uses no fibers and no Effect.timeout, because it also runs in finalizers, where a race cannot interrupt its loser,
 * and in tests whose clock stands still.
 */

import * as Net from "node:net"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Program, type SpawnError, type Spawner, start } from "./spawn.js"

/** How much of a server's output is kept. */
const logLimit = 64 * 1024

/** The last 64 KB that a server printed, over all its runs. */
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
   * Sends a signal; returns false when the process has ended. SIGKILL also goes to the child processes with which the
   * server writes its files: the server leads a process group of its own.
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

/** Sleeps by a timer of JavaScript: a test's clock may stand still. */
export const sleep = (millis: number): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })

/** Waits for the end of a process, for at most `millis`; returns whether it ended. */
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
 * Asks the process to end (SIGTERM), and kills it when it has not ended after `graceMillis`. A paused process (SIGSTOP)
 * would not see SIGTERM, so it is resumed first.
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
 * Runs a server so that it ends with this process. When this process is killed, its finalizers do not run, but its end
 * of the pipe at fd 0 closes. A shell in the background waits for that; it then kills the server if it still runs, and
 * removes its folder. When the server ends first, Node closes the pipe as well, and the shell has nothing to do. The
 * server replaces the outer shell (exec), so the process id that we know is the server's.
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

/** A program that runs a server, and ends the server and removes the folder when this process dies. */
export const guarded = (folder: string, executable: string, ...args: ReadonlyArray<string>): Program => [
  "/bin/sh",
  "-c",
  guardScript,
  "guard",
  folder,
  executable,
  ...args
]

/**
 * Starts a program. Its output goes to the log. The returned process is not tied to a scope: the caller must terminate
 * it, because the finalizer of the spawner would wait for its end without a bound.
 */
export const spawn = (program: Program, log: ServerLog): Effect.Effect<ServerProcess, SpawnError, Spawner> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      log.startRun()
      const started = yield* start(...program).pipe(
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
      // Pipes that are not read would fill up and block the server.
      const readers = [yield* read("stdout"), yield* read("stderr")]
      yield* started.ended.pipe(
        // Its last output arrives after its exit. The wait is bounded: a child of the server may hold the pipe open.
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
 * Sends PING over the server's own unix socket until the server answers. The socket lies in a folder that only this
 * server uses, so the answer cannot come from another server, as it could on a TCP port.
 */
export const awaitReady = (
  running: ServerProcess,
  options: {
    readonly socketPath: string
    readonly password: string | undefined
    readonly millis: number
    /** Whether its log says that it accepts connections. It decides when the server refuses our commands. */
    readonly logSaysReady: () => boolean
  }
): Effect.Effect<Readiness> =>
  Effect.async<Readiness>((resume) => {
    let socket: Net.Socket | undefined
    let retry: NodeJS.Timeout | undefined
    let forget = () => {}
    let settled = false
    const cleanup = () => {
      settled = true // The socket's close event comes later, and must not start another attempt.
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
      asked.on("connect", () => asked.write(request))
      asked.on("data", (chunk: string) => {
        answer += chunk
        if (answer.includes("+PONG\r\n") || (/-NO(AUTH|PERM)/.test(answer) && options.logSaysReady())) {
          over = true
          settle("ready")
        } else if (/^-(?!ERR AUTH|WRONGPASS)/m.test(answer)) {
          again() // It is loading, busy, or refuses although its log does not say that it is ready.
        }
      })
    }
    const request =
      options.password === undefined
        ? "PING\r\n"
        : `*2\r\n$4\r\nAUTH\r\n$${Buffer.byteLength(options.password)}\r\n${options.password}\r\n*1\r\n$4\r\nPING\r\n`
    const deadline = setTimeout(() => settle("late"), options.millis)
    forget = running.onExit(() => settle("exited"))
    if (!running.hasExited) ask()
    return Effect.sync(cleanup)
  })
