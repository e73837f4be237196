import { describe, it } from "vitest"
import { realServers, type TestServer } from "./servers.js"

/**
 * A block of tests for each real server, or for the given ones (`atLeast(…)`). Without any there is one skipped test that
 * says so, because a file without a test fails, and `npm test` must pass with the embedded server alone.
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
