/**
 * A reporter that ends the run with one plain line, `N passed, N failed, N skipped`, which machines read.
 * What fails outside of tests (a file that does not load, an unhandled rejection) counts as failed: it fails the run.
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
    // At exit, so that nothing comes after it: not the summary, not what the servers say when they stop.
    process.once("exit", () => console.log(`\n${line}`))
  }
}
