/**
 * A reporter that ends the run with one plain line for scripts, `N passed, N failed, N skipped`.
 * Failures outside of tests (a file that does not load, an unhandled rejection) count as failed, as they fail the run.
 */
import type { Reporter, TestModule } from "vitest/node"

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, unhandledErrors: ReadonlyArray<unknown>) {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0, pending: 0 }
    for (const module of modules) {
      for (const test of module.children.allTests()) count[test.result().state]++
      for (const suite of module.children.allSuites()) count.failed += suite.errors().length
      count.failed += module.errors().length
    }
    const line = `${count.passed} passed, ${count.failed} failed, ${count.skipped + count.pending} skipped`
    // At exit, so that neither the summary nor the output of stopping servers follows.
    process.once("exit", () => console.log(`\n${line}`))
  }
}
