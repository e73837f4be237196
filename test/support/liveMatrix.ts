/**
 * The commands that ran on each real server. Each test file writes its part to the run's folder, because files run in
 * separate processes; `test/globalSetup.ts` adds the parts up at the end.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"

/** Names the run's folder, so that concurrent runs do not mix. */
const variable = "REDIS_TEST_LIVE"
const folder = (): string | undefined => process.env[variable]

/** The commands that the library must have. */
const specification = Path.resolve(import.meta.dirname, "../fixtures/commands.json")

interface Part {
  readonly group: string
  /** By server and protocol, the names of the commands. */
  readonly ran: Record<string, Record<string, ReadonlyArray<string>>>
}

const add = (into: Map<string, Set<string>>, key: string, name: string): void => {
  const names = into.get(key) ?? new Set()
  into.set(key, names.add(name))
}

/** `12 commands ran live on 3 servers …`, or `undefined` without any. With `of`, only those commands count. */
const line = (what: string, parts: ReadonlyArray<Part>, of?: ReadonlyArray<string>): string | undefined => {
  const counted = of === undefined ? undefined : new Set(of)
  const perServer = new Map<string, Set<string>>()
  const perProtocol = new Map<string, Set<string>>()
  const all = new Set<string>()
  for (const { ran } of parts) {
    for (const [server, protocols] of Object.entries(ran)) {
      for (const [protocol, names] of Object.entries(protocols)) {
        for (const name of names) {
          if (counted?.has(name) === false) {
            continue
          }
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
  return `${what}: ${all.size}${of === undefined ? "" : ` of ${of.length}`} commands ran live on ${perServer.size} servers (${counts(perServer)}; ${counts(perProtocol)})`
}

export class LiveMatrix {
  private readonly done = new Map<string, Map<string, Set<string>>>()
  private readonly notDone = new Map<string, Set<string>>()

  /** Over a cluster: how many tests ran with their keys in any slots, and how many in one. */
  private readonly places = { anySlots: 0, oneSlot: 0 }
  /** Over a cluster: the commands that its client refused while the keys were in any slots. */
  private readonly refused = new Set<string>()

  constructor(private readonly group: string) {}

  placed(where: "anySlots" | "oneSlot", refused?: string): void {
    this.places[where]++
    if (refused !== undefined) {
      this.refused.add(refused)
    }
  }

  ran(command: string, server: string, protocol: 2 | 3): void {
    const protocols = this.done.get(server) ?? new Map<string, Set<string>>()
    this.done.set(server, protocols)
    add(protocols, `RESP${protocol}`, command)
  }

  skipped(test: string, server: string, reason: string): void {
    add(this.notDone, `${server}: ${reason}`, test)
  }

  /** Prints this file's line, and writes its part for {@link end}. */
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
    const into = folder()
    if (into !== undefined) {
      // Process and time in the name, because another test file may have a group of the same name.
      Fs.writeFileSync(
        Path.join(into, `${this.group.replaceAll(/\W+/g, "-")}-${process.pid}-${Date.now()}.json`),
        JSON.stringify(part)
      )
    }
    const skipped = [...this.notDone].map(([reason, tests]) => `\n  skipped, ${reason} (${[...tests].join(", ")})`)
    const { anySlots, oneSlot } = this.places
    const placed =
      anySlots + oneSlot === 0
        ? ""
        : `\n  ${anySlots} tests with their keys in any slots, ${oneSlot} in one` +
          (this.refused.size === 0 ? "" : `, because of ${[...this.refused].sort().join(", ")}`)
    console.log(text + placed + skipped.join(""))
  }
}

/** Begins a run, in the main process before the first test file. */
export const begin = (): void => {
  const made = Path.resolve(import.meta.dirname, "../../.tmp/live", String(process.pid))
  Fs.rmSync(made, { recursive: true, force: true })
  Fs.mkdirSync(made, { recursive: true })
  process.env[variable] = made
}

/** Ends a run, and returns one line for all files. */
export const end = (): string | undefined => {
  const made = folder()
  if (made === undefined) {
    return undefined
  }
  const parts = Fs.readdirSync(made).map((file) => JSON.parse(Fs.readFileSync(Path.join(made, file), "utf8")) as Part)
  Fs.rmSync(made, { recursive: true, force: true })
  return line("live", parts, Object.keys(JSON.parse(Fs.readFileSync(specification, "utf8"))))
}
