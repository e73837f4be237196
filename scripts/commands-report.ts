/**
 * `npm run commands:report`: how many of the commands there are, by the specification, are typed and reachable as
 * `Redis.<name>`; and the same for each command that the servers here have. JSON on standard output; fails when one is
 * missing.
 */
import * as Effect from "effect/Effect"
import { realServers } from "../test/support/servers.js"
import { counted, factoryNames, listed, missing, modes, onServer, spec } from "../test/support/surface.js"

interface Count {
  readonly typed: number
  readonly total: number
  readonly missing: ReadonlyArray<string>
}

const typed = await factoryNames()

const count = (names: ReadonlyArray<string>): Count => {
  const lacking = missing(names, typed)
  return { typed: names.length - lacking.length, total: names.length, missing: lacking }
}

const servers: Record<string, Count> = {}
for (const server of realServers) {
  const names = new Set<string>()
  for (const options of Object.values(modes)) {
    for (const name of counted(await Effect.runPromise(onServer(server, options, listed)))) {
      names.add(name)
    }
  }
  servers[server.name] = count([...names])
}

const report = { ...count(Object.keys(spec)), servers }
console.log(JSON.stringify(report, null, 2))
if ([report, ...Object.values(servers)].some(({ missing }) => missing.length > 0)) {
  process.exitCode = 1
}
