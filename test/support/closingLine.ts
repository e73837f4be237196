/**
 * A reporter that ends the run with one plain line for scripts, `N passed, N failed, N skipped`.
 * Failures outside of tests (a file that does not load, an unhandled rejection) count as failed, as they fail the run.
 */
import * as path from "node:path"
import type { Reporter, TestModule } from "vitest/node"

/**
 * In CI a failed test is run once more, because real servers share two busy cores with the tests. Each such test is printed
 * with its first failure. More than these in one run are no chance any more, and fail the run.
 */
const mostFlaky = 3

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, unhandledErrors: ReadonlyArray<unknown>) {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0, pending: 0 }
    const flaky: Array<string> = []
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { errors = [], state } = test.result()
        count[state]++
        if (test.diagnostic()?.flaky === true) {
          flaky.push(
            `${path.relative(process.cwd(), module.moduleId)} > ${test.fullName}\n    ${errors[0]?.stack ?? errors[0]?.message}`
          )
        }
      }
      for (const suite of module.children.allSuites()) count.failed += suite.errors().length
      count.failed += module.errors().length
    }
    if (flaky.length > mostFlaky) {
      count.failed += flaky.length
      process.exitCode = 1
    }
    const line = `${count.passed} passed, ${count.failed} failed, ${count.skipped + count.pending} skipped`
    // At exit, so that neither the summary nor the output of stopping servers follows.
    process.once("exit", () => {
      for (const test of flaky) console.log(`\nflaky: failed once, passed when run again: ${test}`)
      console.log(`\n${line}`)
    })
  }
}
