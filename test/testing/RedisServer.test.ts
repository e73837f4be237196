import { spawn } from "node:child_process"
import * as FileSystem from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Tls from "node:tls"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { interruptAndWait } from "../support/effect.js"
import { atLeast, commandServers, embeddedServer, makeServer, servers } from "../support/servers.js"

// ---------------------------------------------------------------------------------------------------------------------
// A minimal client: sends commands, ends its side, and returns everything that the server sent.
// ---------------------------------------------------------------------------------------------------------------------

const encode = (commands: ReadonlyArray<string>) =>
  commands
    .map((command) => command.split(" "))
    .map((words) => `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`)
    .join("")

const converse = (connect: () => Net.Socket, commands: ReadonlyArray<string>) =>
  Effect.async<string, Error>((resume) => {
    let answer = ""
    const socket = connect()
    socket.setEncoding("utf8")
    socket.on("data", (chunk) => {
      answer += chunk
    })
    socket.on("error", (error) => resume(Effect.fail(error)))
    socket.on("close", () => resume(Effect.succeed(answer)))
    socket.end(encode(commands))
    return Effect.sync(() => socket.destroy())
  })

const ask = (server: { readonly host: string; readonly port: number }, ...commands: ReadonlyArray<string>) =>
  converse(() => Net.connect({ host: server.host, port: server.port }), commands)

const askSocket = (path: string, ...commands: ReadonlyArray<string>) => converse(() => Net.connect({ path }), commands)

const askTls = (server: RedisServer.RedisServer, options: Tls.ConnectionOptions, ...commands: ReadonlyArray<string>) =>
  converse(() => Tls.connect({ host: server.host, port: server.port, servername: "localhost", ...options }), commands)

const pause = (millis: number) => Effect.promise(() => new Promise((resolve) => setTimeout(resolve, millis)))

/** Waits, with real timers, until a condition holds. */
const until = (
  condition: () => Effect.Effect<boolean, unknown> | boolean,
  what: string | (() => string)
): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let tries = 0; tries < 3_000; tries++) {
      const result = condition()
      if (typeof result === "boolean" ? result : yield* Effect.orElseSucceed(result, () => false)) return
      yield* pause(10)
    }
    return yield* Effect.dieMessage(`In vain: ${typeof what === "string" ? what : what()}`)
  })

const lives = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const pidOf = (server: RedisServer.RedisServer) => Effect.map(server.pid, Option.getOrThrow)

const refuses = (server: { readonly host: string; readonly port: number }) =>
  Effect.match(ask(server, "PING"), { onFailure: () => true, onSuccess: () => false })

/** The number of this process's timers, sockets, pipes and child processes, by kind. */
const busy = () => {
  const counts = new Map<string, number>()
  for (const name of process.getActiveResourcesInfo()) counts.set(name, (counts.get(name) ?? 0) + 1)
  return ["Timeout", "TCPSocketWrap", "TCPServerWrap", "PipeWrap", "PipeServerWrap", "ProcessWrap"].map(
    (name) => [name, counts.get(name) ?? 0] as const
  )
}

/** Waits until no kind has more than before. It may have fewer, because the test runner has timers, too. */
const settled = (before: ReturnType<typeof busy>) =>
  Effect.gen(function* () {
    const more = () => busy().filter(([name, count]) => count > (before.find(([same]) => same === name)?.[1] ?? 0))
    yield* until(
      () => more().length === 0,
      () => `left are ${JSON.stringify(more())} more than ${JSON.stringify(before)}`
    )
  })

// All folders of servers are made in this one, which has to be empty at the end.
const temporary = FileSystem.mkdtempSync(Path.join(Os.tmpdir(), "rs-"))
const before = process.env.TMPDIR

beforeAll(() => {
  process.env.TMPDIR = temporary
})

afterAll(() => {
  if (before === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = before
  const left = FileSystem.readdirSync(temporary)
  FileSystem.rmSync(temporary, { recursive: true, force: true })
  expect(left).toEqual([])
})

const script = (name: string, text: string) => {
  const file = Path.join(FileSystem.mkdtempSync(Path.join(temporary, "script-")), name)
  FileSystem.writeFileSync(file, `#!/bin/sh\n${text}`, { mode: 0o755 })
  return { file, folder: Path.dirname(file), remove: () => FileSystem.rmSync(Path.dirname(file), { recursive: true }) }
}

const withScript = (name: string, text: string) =>
  Effect.acquireRelease(
    Effect.sync(() => script(name, text)),
    ({ remove }) => Effect.sync(remove)
  )

/** A server that never answers: it prints a version as real ones do, and then only waits. */
const silent = withScript(
  "redis-server",
  `here=\${0%/*}
if [ "$1" = --version ]; then echo "Redis server v=7.0.0 sha=0"; exit; fi
echo "I am slow"
dirname "$1" > "$here/folder"
echo $$ > "$here/pid"
exec sleep 1000
`
)

describe.each(servers)("$name", (testServer) => {
  it.scoped("answers on its port and on its unix socket", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(testServer)
      expect(server.product).toBe(testServer.product)
      expect(server.version.startsWith(testServer.version.split(".").slice(0, 2).join("."))).toBe(true)
      expect(Option.getOrUndefined(server.executable)).toBe(testServer.executable)
      expect(Redacted.value(server.url)).toBe(`redis://127.0.0.1:${server.port}`)
      expect(yield* ask(server, "PING")).toBe("+PONG\r\n")
      expect(yield* askSocket(server.socketPath, "PING")).toBe("+PONG\r\n")
    })
  )

  it.scoped("requires the password", () =>
    Effect.gen(function* () {
      const secret = 'p@ss:w/rd"\\%é'
      const server = yield* makeServer(testServer, { password: Redacted.make(secret) })
      expect(yield* ask(server, "PING")).toMatch(/^-NOAUTH /)
      expect(yield* ask(server, `AUTH ${secret}`, "PING")).toBe("+OK\r\n+PONG\r\n")
      const url = new URL(Redacted.value(server.url))
      expect(decodeURIComponent(url.password)).toBe(secret)
      expect(`${server.url} ${JSON.stringify(server.password)}`).not.toContain(secret)
    })
  )

  it.scoped("speaks TLS with certificates made for it", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(testServer, { tls: true })
      const tls = Option.getOrThrow(server.tls)
      expect(Redacted.value(server.url)).toBe(`rediss://127.0.0.1:${server.port}`)
      for (const servername of ["localhost", "127.0.0.1"]) {
        const checked = {
          ca: tls.ca,
          checkServerIdentity: (_: string, cert: Tls.PeerCertificate) => Tls.checkServerIdentity(servername, cert)
        }
        expect(yield* askTls(server, checked, "PING")).toBe("+PONG\r\n")
      }
      const distrusted = yield* Effect.flip(askTls(server, {}, "PING"))
      expect(distrusted).toMatchObject({ code: expect.stringMatching(/SELF_SIGNED|UNABLE_TO/) })
      expect(yield* askSocket(server.socketPath, "PING")).toBe("+PONG\r\n")
    })
  )

  it.scoped("makes certificates with a wrong name, and expired ones", () =>
    Effect.gen(function* () {
      const wrong = yield* makeServer(testServer, { tls: { names: ["elsewhere.example"] } })
      const named = yield* Effect.flip(askTls(wrong, { ca: Option.getOrThrow(wrong.tls).ca }, "PING"))
      expect(named).toMatchObject({ code: "ERR_TLS_CERT_ALTNAME_INVALID" })
      const old = yield* makeServer(testServer, { tls: { notAfter: new Date("2020-01-01T00:00:00Z") } })
      const expired = yield* Effect.flip(askTls(old, { ca: Option.getOrThrow(old.tls).ca }, "PING"))
      expect(expired).toMatchObject({ code: "CERT_HAS_EXPIRED" })
    })
  )

  it.scoped("requires a client's certificate when told to", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(testServer, { tls: { clients: "required" } })
      const { ca, clientCert, clientKey } = Option.getOrThrow(server.tls)
      const without = yield* Effect.either(askTls(server, { ca }, "PING"))
      expect(without).not.toMatchObject({ right: "+PONG\r\n" })
      const shown = { ca, cert: clientCert, key: Redacted.value(clientKey) }
      expect(yield* askTls(server, shown, "PING")).toBe("+PONG\r\n")
    })
  )

  it.scoped("stops and starts on the same port, and keeps what was persisted", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(testServer, { appendonly: true })
      expect(yield* ask(server, "SET kept 1")).toBe("+OK\r\n")
      yield* server.stop
      yield* server.stop
      expect(yield* refuses(server)).toBe(true)
      yield* server.start
      yield* server.start
      expect(yield* ask(server, "GET kept")).toBe("$1\r\n1\r\n")
      yield* server.restart
      expect(yield* ask(server, "GET kept")).toBe("$1\r\n1\r\n")
    })
  )

  it.scoped("is empty after a restart when nothing is persisted", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(testServer)
      expect(yield* ask(server, "SET gone 1")).toBe("+OK\r\n")
      yield* server.restart
      expect(yield* ask(server, "GET gone")).toBe("$-1\r\n")
    })
  )

  it.scoped("has as many databases as asked for", () =>
    Effect.gen(function* () {
      const three = yield* makeServer(testServer, { databases: 3 })
      expect(yield* ask(three, "SELECT 2", "SELECT 3")).toMatch(/^\+OK\r\n-ERR /)
      const usual = yield* makeServer(testServer)
      expect(yield* ask(usual, "SELECT 15", "SELECT 16")).toMatch(/^\+OK\r\n-ERR /)
    })
  )

  it.effect("leaves nothing behind when its scope closes while a client is connected", () =>
    Effect.gen(function* () {
      const quiet = busy()
      const scope = yield* Scope.make()
      const server = yield* Scope.extend(makeServer(testServer), scope)
      const pid = yield* server.pid
      const client = Net.connect({ host: server.host, port: server.port })
      yield* Effect.async<void>((resume) => {
        client.once("connect", () => resume(Effect.void))
      })
      yield* Scope.close(scope, Exit.void)
      expect(FileSystem.existsSync(server.folder)).toBe(false)
      expect(yield* refuses(server)).toBe(true)
      if (Option.isSome(pid)) {
        expect(lives(pid.value)).toBe(false)
        yield* until(() => !lives(-pid.value), "the guard has gone with the server")
      }
      expect(yield* server.pid).toEqual(Option.none())
      const late = yield* Effect.flip(server.start)
      expect(late.reason).toBe("Closed")
      client.destroy()
      yield* settled(quiet)
    })
  )
})

describe.each(commandServers)("$name", (testServer) => {
  it.scoped("accepts DEBUG commands, and its output can be read", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(testServer)
      const answer = yield* ask(server, "DEBUG SLEEP 0", "INFO server")
      expect(answer).toMatch(/^\+OK/)
      expect(answer).toContain(`${server.product}_version:${server.version}`)
      expect(yield* server.log).toContain("eady to accept connections")
    })
  )

  it.scoped("has the ACL users of the options", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(testServer, {
        password: Redacted.make("master"),
        acl: ["user ada on >one ~app:* +get", "bob on nopass ~* +@all"]
      })
      expect(yield* ask(server, "AUTH ada one", "GET app:x", "GET y")).toMatch(/^\+OK\r\n\$-1\r\n-NOPERM /)
      expect(yield* ask(server, "AUTH bob any", "SET y 1")).toBe("+OK\r\n+OK\r\n")
      expect(yield* ask(server, "PING")).toMatch(/^-NOAUTH /)
      expect(yield* ask(server, "AUTH master", "PING", "ACL SAVE")).toBe("+OK\r\n+PONG\r\n+OK\r\n")
    })
  )

  it.scoped("has the ACL users of a file, and does not change the file", () =>
    Effect.gen(function* () {
      const { file } = yield* withScript("users", "")
      const users = "user default off\nuser ada on >one ~* &* +@all\n"
      FileSystem.writeFileSync(file, users)
      const server = yield* makeServer(testServer, { aclFile: file })
      expect(yield* ask(server, "PING")).toMatch(/^-NOAUTH /)
      expect(yield* ask(server, "AUTH ada one", "ACL SETUSER eve on", "ACL SAVE")).toBe("+OK\r\n+OK\r\n+OK\r\n")
      expect(FileSystem.readFileSync(file, "utf8")).toBe(users)
    })
  )

  it.scoped("can be killed at once and started again", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(testServer, { appendonly: true })
      const first = yield* pidOf(server)
      expect(yield* ask(server, "SET kept 1")).toBe("+OK\r\n")
      yield* server.kill
      yield* server.kill
      expect(lives(first)).toBe(false)
      expect(yield* server.pid).toEqual(Option.none())
      expect(yield* refuses(server)).toBe(true)
      expect((yield* Effect.flip(server.pause)).reason).toBe("NotRunning")
      yield* server.start
      expect(yield* pidOf(server)).not.toBe(first)
      expect(yield* ask(server, "GET kept")).toBe("$1\r\n1\r\n")
    })
  )

  it.scoped("answers nothing while it is paused", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(testServer)
      yield* server.pause
      const asked = yield* Effect.fork(ask(server, "PING"))
      const early = yield* Effect.race(Effect.option(Fiber.join(asked)), Effect.as(pause(150), Option.none<string>()))
      expect(early).toEqual(Option.none())
      yield* server.resume
      expect(yield* Fiber.join(asked)).toBe("+PONG\r\n")
    })
  )

  it.effect("stops while it is paused", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* Scope.extend(makeServer(testServer), scope)
      const pid = yield* pidOf(server)
      yield* server.pause
      yield* Scope.close(scope, Exit.void)
      expect(lives(pid)).toBe(false)
    })
  )

  it.scoped("accepts further configuration directives", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(testServer, {
        config: { maxmemory: "7mb", "lazyfree-lazy-user-del": true, "rename-command": ['FLUSHALL ""', "KEYS CLES"] }
      })
      expect(yield* ask(server, "CONFIG GET maxmemory")).toContain("\r\n7340032\r\n")
      expect(yield* ask(server, "CONFIG GET lazyfree-lazy-user-del")).toContain("\r\nyes\r\n")
      expect(yield* ask(server, "FLUSHALL", "CLES *")).toMatch(/^-ERR unknown command.*\r\n\*0\r\n$/)
    })
  )

  it.scoped("fails with the server's last words when the configuration is bad", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(makeServer(testServer, { config: { "no-such-directive": "1" } }))
      expect(error.reason).toBe("Start")
      expect(error.message).toContain("ended instead of starting")
      expect(error.message).toContain("no-such-directive")
      expect(error.log).toContain("no-such-directive")
    })
  )

  it.scoped("fails when its port is in use, and tries no other", () =>
    Effect.gen(function* () {
      const first = yield* makeServer(testServer)
      const error = yield* Effect.flip(makeServer(testServer, { port: first.port }))
      expect(error.reason).toBe("Start")
      expect(error.message).toContain(`Port ${first.port} is in use`)
    })
  )

  it.scoped("runs twice at once, each with its own data", () =>
    Effect.gen(function* () {
      const [one, two] = yield* Effect.all([makeServer(testServer), makeServer(testServer)], { concurrency: 2 })
      expect(one.port).not.toBe(two.port)
      yield* ask(one, "SET who one")
      expect(yield* ask(two, "GET who")).toBe("$-1\r\n")
    })
  )

  it.scoped("can be a replica", () =>
    Effect.gen(function* () {
      const primary = yield* makeServer(testServer, { password: Redacted.make("both") })
      const replica = yield* makeServer(testServer, { mode: { replicaOf: primary } })
      yield* ask(primary, "AUTH both", "SET copied 1")
      yield* until(
        () => Effect.map(ask(replica, "GET copied"), (answer) => answer === "$1\r\n1\r\n"),
        "the replica has what was written"
      )
      expect(yield* ask(replica, "SET own 1")).toMatch(/^-READONLY /)
    })
  )

  it.scoped("can be a replica over TLS", () =>
    Effect.gen(function* () {
      const primary = yield* makeServer(testServer, { tls: { clients: "required" } })
      const certificates = Option.getOrThrow(primary.tls)
      const replica = yield* makeServer(testServer, { mode: { replicaOf: primary }, tls: { certificates } })
      yield* askSocket(primary.socketPath, "SET copied 1")
      yield* until(
        () => Effect.map(askSocket(replica.socketPath, "GET copied"), (answer) => answer === "$1\r\n1\r\n"),
        "the replica has what was written"
      )
    })
  )

  it.scoped("can be a sentinel", () =>
    Effect.gen(function* () {
      const primary = yield* makeServer(testServer, { password: Redacted.make("both") })
      const sentinel = yield* makeServer(testServer, { mode: { monitor: { main: { ...primary, quorum: 1 } } } })
      const address = `*2\r\n$9\r\n127.0.0.1\r\n$${`${primary.port}`.length}\r\n${primary.port}\r\n`
      expect(yield* ask(sentinel, "SENTINEL GET-MASTER-ADDR-BY-NAME main")).toBe(address)
      // The sentinel has the password. Otherwise the primary would look dead to it.
      expect(yield* ask(sentinel, "SENTINEL CKQUORUM main")).toMatch(/^\+OK 1 usable/)
      yield* sentinel.restart
      expect(yield* ask(sentinel, "SENTINEL GET-MASTER-ADDR-BY-NAME main")).toBe(address)
    })
  )

  it.scoped("can be a node of a cluster", () =>
    Effect.gen(function* () {
      const node = yield* makeServer(testServer, { mode: "cluster" })
      expect(yield* ask(node, "CLUSTER INFO")).toContain("cluster_state:fail")
      expect(yield* ask(node, "CLUSTER ADDSLOTSRANGE 0 16383")).toBe("+OK\r\n")
      yield* node.restart
      expect(yield* ask(node, "CLUSTER INFO")).toContain("cluster_slots_assigned:16384")
    })
  )

  it.effect("leaves nothing behind when it is interrupted while it starts", () =>
    Effect.gen(function* () {
      const quiet = busy()
      for (let millis = 0; millis <= 60; millis += 6) {
        const fiber = yield* Effect.fork(Effect.scoped(Effect.zipRight(makeServer(testServer), Effect.never)))
        yield* pause(millis)
        yield* Fiber.interrupt(fiber)
      }
      yield* settled(quiet)
      expect(FileSystem.readdirSync(temporary)).toEqual([])
    })
  )
})

describe("a server that fails to start or to stop", () => {
  it.effect.runIf(commandServers.length > 0)("does not outlive the process that started it", () =>
    Effect.gen(function* () {
      const fixture = Path.join(import.meta.dirname, "fixtures", "serve.ts")
      const child = spawn(process.execPath, ["--import", "tsx", fixture, `${commandServers[0]?.executable}`], {
        stdio: ["ignore", "pipe", "inherit"],
        // tsx leaves its own traces in the temporary folder
        env: { ...process.env, TMPDIR: before }
      })
      const { pid, folder } = yield* Effect.async<{ readonly pid: number; readonly folder: string }>((resume) => {
        child.stdout.once("data", (chunk) => resume(Effect.sync(() => JSON.parse(`${chunk}`))))
      })
      expect(lives(pid)).toBe(true)
      child.kill("SIGKILL")
      yield* until(() => !lives(pid), "the server has ended")
      yield* until(() => !FileSystem.existsSync(folder), "its folder is gone")
    })
  )

  it.scoped("fails when the program does not exist", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(RedisServer.make({ executable: "/nowhere/redis-server" }))
      expect(error).toMatchObject({ _tag: "RedisServerError", reason: "NotFound" })
      expect(error.message).toContain("/nowhere/redis-server")
    })
  )

  it.scoped("fails when the program is not a server", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(RedisServer.make({ executable: process.execPath }))
      expect(error.reason).toBe("NotFound")
      expect(error.message).toContain("is not a Redis or Valkey server")
    })
  )

  it.scoped("fails when the server does not answer in time", () =>
    Effect.gen(function* () {
      const { file, folder } = yield* silent
      const error = yield* Effect.flip(RedisServer.make({ executable: file, startTimeout: "3 seconds" }))
      expect(error.reason).toBe("Start")
      expect(error.message).toContain("did not answer within 3000 ms")
      expect(error.message).toContain("I am slow")
      expect(lives(Number(FileSystem.readFileSync(Path.join(folder, "pid"), "utf8")))).toBe(false)
    })
  )

  it.scoped("can be interrupted while it waits, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const { file, folder } = yield* silent
      const fiber = yield* Effect.fork(Effect.scoped(RedisServer.make({ executable: file })))
      yield* until(() => FileSystem.existsSync(Path.join(folder, "pid")), "it waits")
      yield* until(() => FileSystem.readFileSync(Path.join(folder, "pid"), "utf8").endsWith("\n"), "it said its id")
      const pid = Number(FileSystem.readFileSync(Path.join(folder, "pid"), "utf8"))
      const exit = yield* interruptAndWait(fiber)
      expect(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)).toBe(true)
      expect(lives(pid)).toBe(false)
      expect(FileSystem.existsSync(FileSystem.readFileSync(Path.join(folder, "folder"), "utf8").trim())).toBe(false)
    })
  )

  it.scoped("uses the embedded server when there is no other", () =>
    Effect.gen(function* () {
      const environment = { path: process.env.PATH, server: process.env.REDIS_SERVER, folder: process.cwd() }
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          process.env.PATH = environment.path
          delete process.env.REDIS_SERVER
          if (environment.server !== undefined) process.env.REDIS_SERVER = environment.server
          process.chdir(environment.folder)
        })
      )
      process.env.PATH = temporary
      delete process.env.REDIS_SERVER
      process.chdir(temporary)
      const error = yield* Effect.flip(RedisServer.make())
      expect(error.reason).toBe("NotFound")
      expect(error.message).toContain("REDIS_SERVER")
      expect((yield* RedisServer.makeAny()).product).toBe("embedded")
      expect((yield* Effect.flip(RedisServer.makeAny({ embedded: false }))).reason).toBe("NotFound")
      const demanding = yield* Effect.flip(Layer.build(RedisServer.layerRedis({ embedded: false })))
      expect(demanding).toMatchObject({ _tag: "RedisServerError", reason: "NotFound" })
      process.env.REDIS_SERVER = Path.join(temporary, "missing")
      expect((yield* Effect.flip(RedisServer.makeAny())).reason).toBe("NotFound")
      const [real] = commandServers
      if (real?.executable === undefined) return
      process.env.REDIS_SERVER = real.executable
      expect((yield* RedisServer.find()).version).toBe(real.version)
      expect((yield* RedisServer.makeAny()).product).toBe(real.product)
      expect((yield* RedisServer.makeAny({ embedded: false })).product).toBe(real.product)
      expect((yield* RedisServer.makeAny({ embedded: true })).product).toBe("embedded")
    })
  )
})

describe("the embedded server", () => {
  it.scoped("fails with Unsupported where it lacks an operation or an option", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(embeddedServer)
      for (const effect of [server.kill, server.pause, server.resume]) {
        const error = yield* Effect.flip(effect)
        expect(error.reason).toBe("Unsupported")
        expect(error.message).toContain("The embedded server has no")
      }
      for (const options of [{ mode: "cluster" as const }, { acl: ["ada on"] }, { config: { hz: 10 } }]) {
        expect((yield* Effect.flip(RedisServer.makeEmbedded(options))).reason).toBe("Unsupported")
      }
    })
  )
})

it("atLeast selects the real servers of at least the given versions", () => {
  expect(atLeast({ redis: "7.0", valkey: "7.2" })).toEqual(commandServers)
  expect(atLeast({ redis: "8.0" }).every(({ name }) => name.startsWith("redis-"))).toBe(true)
  expect(atLeast({ valkey: "99.0" })).toEqual([])
})
