import { describe, it } from "vitest"
import { realServers, type TestServer } from "./servers.js"

/**
 * A block of tests for each real server, or for those that are given (`atLeast(…)`). With none found there is one
 * skipped test that says so: a file without any test would be a failure, and `npm test` has to pass with the embedded
 * server alone.
 */
export const describeReal = (
  tests: (server: TestServer) => void,
  servers: ReadonlyArray<TestServer> = realServers
): void => {
  if (servers.length === 0) {
    describe("no such server was found", () => {
      it.skip("not run: npm run servers fetches them", () => {})
    })
  }
  describe.each(servers)("on $name", tests)
}
