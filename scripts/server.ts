/** A server for the time of one function: `REDIS_URL` if it is set, else an empty one that is stopped afterwards. */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

const root = path.resolve(import.meta.dirname, "..")

const freePort = () =>
  new Promise<number>((resolve, reject) => {
    const server = net.createServer().on("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo
      server.close(() => resolve(port))
    })
  })

export const withServer = async <A>(use: (url: string) => Promise<A>): Promise<A> => {
  if (process.env.REDIS_URL) return use(process.env.REDIS_URL)
  const servers = path.join(root, ".servers")
  const found = fs.existsSync(servers)
    ? fs.readdirSync(servers).filter((n) => fs.existsSync(path.join(servers, n, "redis-server")))
    : []
  const command = found.length > 0 ? path.join(servers, found.at(-1) ?? "", "redis-server") : "redis-server"
  const port = await freePort()
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "examples-"))
  const child = spawn(command, ["--port", String(port), "--save", "", "--dir", dir], { stdio: "ignore" })
  try {
    for (let i = 0; i < 100; i++) {
      const up = await new Promise((done) =>
        net
          .connect(port, "127.0.0.1")
          .on("connect", function () {
            this.destroy()
            done(true)
          })
          .on("error", () => done(false))
      )
      if (up) break
      await sleep(50)
    }
    return await use(`redis://127.0.0.1:${port}`)
  } finally {
    child.kill()
    fs.rmSync(dir, { recursive: true, force: true })
  }
}
