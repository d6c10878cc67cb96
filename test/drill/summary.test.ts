import { describe, expect, it } from "vitest"
import { isAnswered, isRefused, quantile } from "../../examples/drill/Measures.ts"
import type { Attempt, BreakerChange, Call, Gateway, Phase, Recording } from "../../examples/drill/Recording.ts"
import { gateways } from "../../examples/drill/Recording.ts"
import * as Summary from "../../examples/drill/Summary.ts"
import * as Verdict from "../../examples/drill/Verdict.ts"
import { percent } from "../../examples/drill/Words.ts"
import { empty, tour } from "./synthetic.ts"

const call = (more: Partial<Call>): Call => ({
  gateway: "resilient",
  operation: "chat",
  due: 100,
  sent: 101,
  ended: 110,
  status: 200,
  code: undefined,
  source: "service",
  ...more
})

const attempt = (at: number, ok: boolean, gateway: Gateway = "resilient"): Attempt => ({
  gateway,
  service: "vectorStore",
  at,
  ok
})

const change = (at: number, state: BreakerChange["state"]): BreakerChange => ({
  gateway: "resilient",
  service: "vectorStore",
  at,
  state
})

const outage: Phase = { service: "vectorStore", at: 1000, until: 2000, fault: "hang" }

const recording = (more: Partial<Recording>): Recording => ({ ...empty, ...more })

const ordeal = (more: Partial<Recording>, gateway: Gateway = "resilient") =>
  Summary.make(recording({ phases: [outage], ...more })).outages[0]?.gateways[gateway]

const target = (recording: Recording, words: string) => {
  const target = Summary.make(recording).targets.find(({ wanted }) => wanted.includes(words))
  if (target === undefined) throw new Error(`there is no target about ${words}`)
  return target
}

const times = (n: number, call: Call) => Array.from({ length: n }, () => call)

describe("a call", () => {
  it("is answered by a good status within the deadline, counted from when it was due", () => {
    const { deadlines } = empty
    const late = call({ due: 100, sent: 600, ended: 100 + deadlines.chat + 1 })
    expect(isAnswered(empty, call({}))).toBe(true)
    expect(isAnswered(empty, call({ ended: 100 + deadlines.chat }))).toBe(true)
    expect(isAnswered(empty, late), "sent late, answered in time since then, late all the same").toBe(false)
    expect(isAnswered(empty, call({ status: 500 }))).toBe(false)
    expect(isAnswered(empty, call({ ended: undefined, status: undefined }))).toBe(false)
    expect(isAnswered(empty, call({ status: 202 }))).toBe(true)
  })

  it("is refused by a problem with a code in time, and by nothing else", () => {
    expect(isRefused(empty, call({ status: 503, code: "circuit_open" }))).toBe(true)
    expect(isRefused(empty, call({ status: 503 }))).toBe(false)
    expect(isRefused(empty, call({ status: 503, code: "circuit_open", ended: 5000 }))).toBe(false)
    expect(isRefused(empty, call({}))).toBe(false)
  })
})

describe("the figures", () => {
  it("count a caller who gave up as one who waited for the deadline at least", () => {
    const { waits } = Summary.make(recording({
      calls: [...times(2, call({})), ...times(2, call({ ended: undefined, status: undefined }))]
    })).gateways.resilient
    expect(waits.p50).toEqual({ millis: 10, inVain: false })
    expect(waits.p99).toEqual({ millis: empty.deadlines.chat, inVain: true })
  })

  it("have quantiles that are values which were seen", () => {
    const sorted = Array.from({ length: 100 }, (_, n) => n + 1)
    expect([0.5, 0.95, 0.99, 1].map((q) => quantile(sorted, q))).toEqual([50, 95, 99, 100])
    expect(quantile([], 0.5)).toBeUndefined()
    expect(quantile([7], 0.99)).toBe(7)
  })

  it("count as hit the calls that were due while the service of their operation was down", () => {
    const { hit } = Summary.make(recording({
      phases: [outage],
      calls: [
        call({ due: 999 }),
        call({ due: 1000, ended: 1001 }),
        call({ due: 1999, ended: undefined, status: undefined }),
        call({ due: 2000 }),
        call({ due: 1500, operation: "file" })
      ]
    })).gateways.resilient
    expect(hit).toMatchObject({ made: 2, answered: 1 })
  })

  it("count the load on a service that is down, and the requests that came to nothing", () => {
    const { load, loads, requests, wasted } = Summary.make(recording({
      phases: [outage],
      attempts: [attempt(999, true), attempt(1000, false), attempt(1999, false), attempt(2000, false)]
    })).gateways.resilient
    expect({ load, loads, requests, wasted }).toEqual({
      load: 2,
      loads: { vectorStore: 2, fileSystem: 0, billing: 0, git: 0 },
      requests: 4,
      wasted: 3
    })
  })
})

describe("an outage", () => {
  it("is detected when its breaker opens in it", () => {
    expect(ordeal({ changes: [change(1300, "Open")] })?.detected).toBe(300)
    expect(ordeal({ changes: [change(2001, "Open")] })?.detected).toBeUndefined()
    expect(ordeal({ changes: [] })?.detected).toBeUndefined()
  })

  it("is detected at once by a breaker that was open already", () => {
    expect(ordeal({ changes: [change(900, "Open"), change(1400, "HalfOpen"), change(1450, "Open")] })?.detected).toBe(0)
  })

  it("is over for a gateway without a breaker at the first request that succeeds", () => {
    const attempts = [attempt(1500, true, "plain"), attempt(2100, false, "plain"), attempt(2200, true, "plain")]
    expect(ordeal({ attempts }, "plain")?.recovered).toBe(200)
  })

  it("is over for one with a breaker when that is closed as well", () => {
    const attempts = [attempt(2200, true)]
    const opened = [change(1300, "Open"), change(2190, "HalfOpen")]
    expect(ordeal({ attempts, changes: opened })?.recovered).toBeUndefined()
    expect(ordeal({ attempts, changes: [...opened, change(2210, "Closed")] })?.recovered).toBe(210)
  })

  it("is not recovered from by what succeeds after the next outage of the service began", () => {
    const next: Phase = { service: "vectorStore", at: 2500, until: 3000, fault: "flap" }
    expect(ordeal({ phases: [outage, next], attempts: [attempt(2600, true)] })?.recovered).toBeUndefined()
  })

  it("does not count where the drill was interrupted before it", () => {
    const calls = [call({ due: 500, ended: 600 })]
    expect(Summary.make(recording({ phases: [outage], calls, interrupted: true })).outages).toHaveLength(0)
    expect(Summary.make(recording({ phases: [outage], calls })).outages).toHaveLength(1)
  })
})

describe("the verdict (A20)", () => {
  it("passes a drill in which every target was kept", () => {
    const summary = Summary.make(tour())
    expect(summary.targets.filter(({ held }) => !held)).toEqual([])
    expect(summary.verdict).toBe("passed")
    expect(Verdict.exitCodes[summary.verdict]).toBe(0)
  })

  it("asks for 99.9 % of critical operations", () => {
    const failed = call({ status: 500 })
    expect(target(recording({ calls: [...times(999, call({})), failed] }), "99.9 % of chats").held).toBe(true)
    expect(target(recording({ calls: [...times(998, call({})), failed, failed] }), "99.9 % of chats").held).toBe(false)
    expect(target(empty, "99.9 % of chats").held, "no call shows nothing").toBe(false)
  })

  it("asks for 95 % of operations that have a fallback", () => {
    const good = call({ operation: "file", source: "fallback" })
    const bad = call({ operation: "snapshot", status: 503 })
    expect(target(recording({ calls: [...times(95, good), ...times(5, bad)] }), "a fallback").held).toBe(true)
    expect(target(recording({ calls: [...times(94, good), ...times(6, bad)] }), "a fallback").held).toBe(false)
  })

  it("counts a charge that was refused in typed form as well served, and no other refusal", () => {
    const refused = call({ operation: "charge", status: 503, code: "circuit_open" })
    const calls = times(10, refused)
    const down = recording({ calls, phases: [{ service: "billing", at: 50, until: 200, fault: "busy" }] })
    expect(target(down, "charges").held).toBe(true)
    const untyped = call({ operation: "charge", status: 503 })
    expect(target({ ...down, calls: [...calls, untyped] }, "charges")).toMatchObject({
      held: false,
      seen: "90.9 % of 11"
    })
    // billing is well: it is the breaker's next try that they wait for, or nothing at all
    const open: BreakerChange = { ...change(50, "Open"), service: "billing" }
    expect(target(recording({ calls, changes: [open] }), "charges").held).toBe(true)
    expect(target(recording({ calls, changes: [open, { ...open, at: 90, state: "Closed" }] }), "charges").held)
      .toBe(false)
    expect(target(recording({ calls }), "charges").held).toBe(false)
  })

  it("asks an open breaker to refuse at once, and leaves out calls that had waited for a retry", () => {
    const changes: ReadonlyArray<BreakerChange> = [{ ...change(1000, "Open"), service: "billing" }]
    const refusal = (sent: number, ended: number) =>
      call({ operation: "charge", due: sent, sent, ended, status: 503, code: "circuit_open" })
    const held = (calls: ReadonlyArray<Call>) => target(recording({ calls, changes }), "open breaker").held
    expect(held([refusal(1100, 1105), refusal(900, 1105)])).toBe(true)
    expect(held([refusal(1100, 1160), refusal(1200, 1260)])).toBe(false)
  })

  it("asks for every outage to be detected, and at 429 for fewer requests than retries make", () => {
    const throttled: Phase = { ...outage, fault: "throttle" }
    const retries = [attempt(1100, false, "retries"), attempt(1200, false, "retries")]
    const held = (more: Partial<Recording>) => target(recording(more), "every outage").held
    expect(held({ phases: [outage] })).toBe(false)
    expect(held({ phases: [outage], changes: [change(1300, "Open")] })).toBe(true)
    expect(held({ phases: [throttled], attempts: [...retries, attempt(1100, false)] })).toBe(true)
    expect(held({ phases: [throttled], attempts: [...retries, attempt(1100, false), attempt(1200, false)] })).toBe(
      false
    )
    expect(held({ phases: [outage], attempts: [...retries, attempt(1100, false)] })).toBe(false)
  })

  it("is inconclusive where something was missed on a machine that was too busy, and there only", () => {
    const busy = [{ process: "conductor", loopDelayP99: 50.1 }]
    expect(Summary.make(recording({ busy }))).toMatchObject({ verdict: "inconclusive", tooBusy: busy })
    expect(Summary.make({ ...tour(), busy }).verdict).toBe("passed")
    expect(Summary.make(recording({ busy: [{ process: "conductor", loopDelayP99: 50 }] })).verdict).toBe("missed")
    expect([Verdict.exitCodes.missed, Verdict.exitCodes.inconclusive]).toEqual([1, 3])
  })

  it("is none where the drill was interrupted", () => {
    expect(Summary.make({ ...tour(), interrupted: true }).verdict).toBe("interrupted")
    expect(Verdict.exitCodes.interrupted).toBe(130)
  })

  it("rounds shares down, so that 100 % means all", () => {
    expect(percent(9999, 10_000)).toBe("99.9 %")
    expect(percent(3, 3)).toBe("100 %")
    expect(percent(0, 3)).toBe("0.0 %")
    expect(percent(0, 0)).toBe("none")
  })
})

it("the summary says the most important thing first, and becomes JSON without holes", () => {
  const summary = Summary.make(tour())
  const { hit } = summary.gateways.resilient
  expect(Summary.headline(summary)).toContain(`Of the ${hit.made} calls that needed them`)
  for (const gateway of gateways) {
    expect(Summary.headline(summary)).toContain(percent(summary.gateways[gateway].hit.answered, hit.made))
  }
  expect(JSON.parse(Summary.json(summary))).toMatchObject({
    verdict: "passed",
    gateways: { plain: { detected: { seen: 0, median: null } } }
  })
})
