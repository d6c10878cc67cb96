/**
 * A bulkhead: so many at once, so many waiting, and fair between tenants.
 *
 * A report takes a while and much memory. Two may be made at once; six more may
 * wait, in turns between tenants; anything beyond is refused at once.
 */
import { Console, Effect } from "effect"
import { Bulkhead } from "effect-resilience"

const program = Effect.gen(function*() {
  // A bulkhead has state, so it is made once and then used for every call.
  const reports = yield* Bulkhead.make("reports", { concurrency: 2, queue: 6, wait: "5 seconds" })

  const report = (tenant: string, n: number) =>
    Effect.andThen(Console.log(`making report ${n} for ${tenant}`), Effect.sleep("20 millis")).pipe(
      // Tenants that wait take turns.
      (work) => reports.protect(work, { key: tenant }),
      Effect.catchTag("BulkheadFull", (error) => Console.log(`report ${n} for ${tenant} is refused: ${error.message}`))
    )

  // Acme wants seven reports at once, and Binford one, a moment later. It is not served last.
  yield* Effect.all(
    [...[1, 2, 3, 4, 5, 6, 7].map((n) => report("Acme", n)), report("Binford", 1), report("Binford", 2)],
    { concurrency: "unbounded", discard: true }
  )

  const { calls } = yield* reports.snapshot
  yield* Console.log(`${calls.admitted} made, ${calls.queueFull} refused`)

  // More permits, while the program runs: those who wait would have them at once.
  yield* reports.reconfigure(Bulkhead.settings({ concurrency: 4, queue: 6 }))
  yield* Console.log(`from now on ${(yield* reports.snapshot).concurrency} at once`)
})

await Effect.runPromise(program)
