/** The servers that `npm run servers` put into `.servers/`, each started for one test file. */
import { type ChildProcess, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

export interface InstalledServer {
  /** As in the spec's data: `redis-7.0.15`. */
  readonly name: string
  readonly product: "redis" | "valkey"
  readonly version: string
  readonly binary: string
}

export interface StartedServer extends InstalledServer {
  readonly host: string
  readonly port: number
  readonly stop: () => Promise<void>
}

const folder = Path.resolve(import.meta.dirname, "../../.servers")

const installed = (name: string): ReadonlyArray<InstalledServer> => {
  const at = Path.join(folder, name)
  const about = Path.join(at, "server.json")
  if (!Fs.existsSync(about)) {
    return []
  }
  const { product, version } = JSON.parse(Fs.readFileSync(about, "utf8")) as Pick<
    InstalledServer,
    "product" | "version"
  >
  const binary = Path.join(at, `${product}-server`)
  return Fs.existsSync(binary) ? [{ name: `${product}-${version}`, product, version, binary }] : []
}

/** Every server there is, oldest product version first. */
export const servers: ReadonlyArray<InstalledServer> = Fs.existsSync(folder)
  ? Fs.readdirSync(folder).sort().flatMap(installed)
  : []

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = Net.createServer().on("error", reject)
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as Net.AddressInfo
      probe.close(() => resolve(port))
    })
  })

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = Net.connect(port, "127.0.0.1")
    socket.on("connect", () => socket.write("PING\r\n"))
    socket.on("data", (data) => {
      socket.destroy()
      resolve(data.toString("latin1").startsWith("+PONG"))
    })
    socket.on("error", () => resolve(false))
  })

/** Starts a server on a free port with a folder of its own. */
export const start = async (server: InstalledServer, extra: ReadonlyArray<string> = []): Promise<StartedServer> => {
  const port = await freePort()
  const dir = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-redis-live-"))
  const child: ChildProcess = spawn(
    server.binary,
    ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", dir, ...extra],
    { stdio: ["ignore", "pipe", "pipe"] }
  )
  let log = ""
  child.stdout?.on("data", (data: Buffer) => (log += data.toString()))
  child.stderr?.on("data", (data: Buffer) => (log += data.toString()))
  const stop = () =>
    new Promise<void>((resolve) => {
      const done = () => {
        Fs.rmSync(dir, { recursive: true, force: true })
        resolve()
      }
      if (child.exitCode !== null || child.signalCode !== null) {
        done()
        return
      }
      child.once("exit", done)
      child.kill("SIGKILL")
    })
  for (let i = 0; i < 400; i++) {
    if (child.exitCode !== null) {
      break
    }
    if (await answers(port)) {
      return { ...server, host: "127.0.0.1", port, stop }
    }
    await sleep(25)
  }
  await stop()
  throw new Error(`${server.name} did not start:\n${log}`)
}
