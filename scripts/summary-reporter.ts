import type { Reporter, TestModule } from "vitest/node"

/**
 * Closes the run with one plain line, `Tests: 12 passed, 0 failed, 1 skipped`,
 * because the colored table of the default reporter is hard to find for a script.
 */
export class SummaryReporter implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, unhandledErrors: ReadonlyArray<unknown>): void {
    // An error outside every test fails the run, so it counts as a failure too.
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        // A test that never got to run, as after an interrupt, is one more that was skipped.
        count[state === "pending" ? "skipped" : state] += 1
      }
      // A file that does not load, or a failing hook, has errors of its own and perhaps no tests.
      count.failed += module.errors().length
      for (const suite of module.children.allSuites()) count.failed += suite.errors().length
    }
    process.stdout.write(`\nTests: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`)
  }
}
