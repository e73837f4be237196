/**
 * Which commands ran on which real servers. Each test file leaves its part in a folder, since files run in processes of
 * their own; whoever runs last adds them up.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"

const folder = Path.resolve(import.meta.dirname, "../../.tmp/live")

interface Part {
  readonly group: string
  /** Server to protocol to names. */
  readonly ran: Record<string, Record<string, ReadonlyArray<string>>>
}

const add = (into: Map<string, Set<string>>, key: string, name: string): void => {
  const names = into.get(key) ?? new Set()
  into.set(key, names.add(name))
}

/** `12 commands ran live on 3 servers …`, or `undefined` when none did. */
const line = (what: string, parts: ReadonlyArray<Part>): string | undefined => {
  const perServer = new Map<string, Set<string>>()
  const perProtocol = new Map<string, Set<string>>()
  const all = new Set<string>()
  for (const { ran } of parts) {
    for (const [server, protocols] of Object.entries(ran)) {
      for (const [protocol, names] of Object.entries(protocols)) {
        for (const name of names) {
          all.add(name)
          add(perServer, server, name)
          add(perProtocol, protocol, name)
        }
      }
    }
  }
  if (all.size === 0) {
    return undefined
  }
  const counts = (of: Map<string, Set<string>>) =>
    [...of]
      .sort()
      .map(([key, names]) => `${key}: ${names.size}`)
      .join(", ")
  return `${what}: ${all.size} commands ran live on ${perServer.size} servers (${counts(perServer)}; ${counts(perProtocol)})`
}

export class LiveMatrix {
  private readonly done = new Map<string, Map<string, Set<string>>>()
  private readonly notDone = new Map<string, Set<string>>()

  constructor(private readonly group: string) {}

  ran(command: string, server: string, protocol: 2 | 3): void {
    const protocols = this.done.get(server) ?? new Map<string, Set<string>>()
    this.done.set(server, protocols)
    add(protocols, `RESP${protocol}`, command)
  }

  skipped(test: string, server: string, reason: string): void {
    add(this.notDone, `${server}: ${reason}`, test)
  }

  /** Prints this file's line and leaves it for {@link summary}. */
  finish(): void {
    const ran = Object.fromEntries(
      [...this.done].map(([server, protocols]) => [
        server,
        Object.fromEntries([...protocols].map(([protocol, names]) => [protocol, [...names].sort()]))
      ])
    )
    const part: Part = { group: this.group, ran }
    const text = line(this.group, [part])
    if (text === undefined) {
      return
    }
    Fs.mkdirSync(folder, { recursive: true })
    Fs.writeFileSync(Path.join(folder, `${this.group.replaceAll(/\W+/g, "-")}.json`), JSON.stringify(part))
    const skipped = [...this.notDone].map(([reason, tests]) => `\n  skipped, ${reason} (${[...tests].join(", ")})`)
    console.log(text + skipped.join(""))
  }
}

/** Forgets earlier runs: before the first test file. */
export const reset = (): void => Fs.rmSync(folder, { recursive: true, force: true })

/** All files' parts as one line. */
export const summary = (): string | undefined =>
  Fs.existsSync(folder)
    ? line(
        "live",
        Fs.readdirSync(folder).map((file) => JSON.parse(Fs.readFileSync(Path.join(folder, file), "utf8")) as Part)
      )
    : undefined
