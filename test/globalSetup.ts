/*
 * Before the tests, prints the servers they run on, and fails when a required one is missing:
 * `REDIS_SERVERS_REQUIRED=redis-7.0,redis-8.0,valkey-9.1` (as CI sets it). After the tests, prints the number of commands
 * that ran on each of these servers.
 */
import * as LiveMatrix from "./support/liveMatrix.js"
import { commandServers, embeddedServer, expected, olderServers } from "./support/servers.js"

export default function setup(): () => void {
  const say = (line: string) => process.stdout.write(`${line}\n`)
  const found = [...olderServers, ...commandServers]
  say("Servers under test:")
  for (const { name, version, executable } of found) say(`  ${name.padEnd(12)}${version}  ${executable}`)
  say(`  ${embeddedServer.name.padEnd(12)}js-redis-server, an allow-list of tests`)
  const missing = expected.filter((name) => !found.some((server) => server.name === name))
  if (missing.length > 0) {
    say("")
    say(`  !! NOT RUN: the tests on ${missing.join(", ")}. \`npm run servers\` fetches these servers.`)
    if (found.length === 0) say("  !! No real server was found, so none of the laws was proven in this run.")
    say("")
  }
  const required = (process.env.REDIS_SERVERS_REQUIRED ?? "").split(",").map((name) => name.trim())
  const absent = required.filter((name) => name !== "" && !found.some((server) => server.name === name))
  if (absent.length > 0) {
    throw new Error(`REDIS_SERVERS_REQUIRED names ${absent.join(", ")}, and no such server was found.`)
  }
  LiveMatrix.begin()
  return () => {
    const line = LiveMatrix.end()
    if (line !== undefined) say(`\n${line}`)
    if (missing.length > 0)
      say(`\n!! NOT RUN: the tests on ${missing.join(", ")}. \`npm run servers\` fetches these servers.`)
  }
}
