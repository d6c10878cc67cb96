/**
 * Makes sure that a subject does what its row says, before its time is taken.
 */
import * as Effect from "effect/Effect"
import assert from "node:assert/strict"
import { answer, type Call, hasty, measured, retries, type Subject, type Work, WorkFailed } from "./subject.ts"

type Step = "succeed" | "fail" | "hang"

/** Work that does as it is told, by the number of its run, and counts its runs. */
const scripted = (step: (run: number) => Step): { readonly work: Work; readonly runs: () => number } => {
  let runs = 0
  const failure = new WorkFailed()
  const effects = { succeed: Effect.succeed(answer), fail: Effect.fail(failure), hang: Effect.never }
  return {
    work: {
      effect: Effect.suspend((): Effect.Effect<number, WorkFailed> => effects[step(++runs)]),
      promise: async () => {
        const told = step(++runs)
        if (told === "fail") throw failure
        return told === "hang" ? new Promise<number>(() => {}) : answer
      }
    },
    runs: () => runs
  }
}

const settle = (call: Call): Promise<unknown> => call.once().catch((error: unknown) => error)

const fails = async (subject: Subject, call: Call, what: string): Promise<void> => {
  await assert.rejects(() => call.once(), `${subject.name}: ${what}`)
}

/** It hands on the result, once called as often as in a loop. */
export const answers = async (subject: Subject, call: Call): Promise<void> => {
  assert.equal(await call.once(), answer, `${subject.name}: the result is another`)
  const { runs, work } = scripted(() => "succeed")
  await (await subject.protect(work, measured)).loop(10)
  assert.equal(runs(), 10, `${subject.name}: a loop of 10 calls runs the work ${runs()} times`)
}

/** It answers without running the work. */
export const answersFromMemory = async (subject: Subject): Promise<void> => {
  const { runs, work } = scripted(() => "succeed")
  const call = await subject.protect(work, measured)
  await call.once()
  assert.equal(await call.once(), answer, `${subject.name}: the result is another`)
  assert.equal(runs(), 1, `${subject.name}: the work runs again`)
}

/** Failed work is answered for. */
export const fallsBack = async (subject: Subject): Promise<void> => {
  const call = await subject.protect(scripted(() => "fail").work, measured)
  assert.equal(await call.once(), answer, `${subject.name}: does not fall back`)
}

/** It suspends, or does not. Only a fiber can tell. */
export const suspends = (work: Work, expected: boolean): void => {
  const exit = Effect.runSyncExit(work.effect)
  assert.equal(exit._tag === "Failure", expected, `the work ${expected ? "does not suspend" : "suspends"}`)
}

/** Work whose breaker has been opened by failures, and a check that it still is. */
export const opened = async (
  subject: Subject
): Promise<{ readonly call: Call; readonly stillRefuses: () => Promise<void> }> => {
  const { runs, work } = scripted(() => "fail")
  const call = await subject.protect(work, { ...measured, retryDelay: hasty.retryDelay })
  for (let calls = 0; calls < 20; calls++) await settle(call)
  const runsToOpen = runs()
  assert.ok(runsToOpen < 20, `${subject.name}: the breaker does not open`)
  return {
    call,
    stillRefuses: async () => {
      await fails(subject, call, "an open breaker does not refuse")
      await call.failingLoop(10)
      assert.equal(runs(), runsToOpen, `${subject.name}: an open breaker runs the work`)
    }
  }
}

/** A breaker that opens upon failures. */
export const opens = async (subject: Subject): Promise<void> => (await opened(subject)).stillRefuses()

/** A failed attempt is followed by another, or is not. */
export const retriesFailures = async (subject: Subject, expected: boolean): Promise<void> => {
  const { runs, work } = scripted((run) => run <= retries ? "fail" : "succeed")
  const result = await settle(await subject.protect(work, { ...measured, retryDelay: hasty.retryDelay }))
  assert.equal(runs(), expected ? retries + 1 : 1, `${subject.name}: unexpected number of attempts`)
  if (expected) assert.equal(result, answer, `${subject.name}: retrying does not lead to the result`)
}

/** Work that hangs is given up. */
export const timesOut = async (subject: Subject): Promise<void> => {
  const call = await subject.protect(scripted(() => "hang").work, hasty)
  // this timer also keeps the process alive, which work that hangs does not
  let limit: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    limit = setTimeout(resolve, 5_000, "late")
  })
  const error = await Promise.race([settle(call), late])
  clearTimeout(limit)
  assert.ok(error instanceof Error && !(error instanceof WorkFailed), `${subject.name}: hung work is not given up`)
}

/** The bare work fails as it is. */
export const failing = async (subject: Subject): Promise<Call> => {
  const call = await subject.protect(scripted(() => "fail").work, measured)
  await fails(subject, call, "does not fail")
  return call
}
