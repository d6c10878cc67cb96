/** What configuration can say, compared with what the policies take. Checked by the compiler alone. */
// the calls that must not compile are written for the compiler, and never made
// @effect-diagnostics floatingEffect:off missingEffectError:off missingEffectContext:off
import { type Duration, Effect, type Layer, type Schedule } from "effect"
import { type Pipeline, type Resilience, ResilienceConfig } from "../../src/index.ts"
import type { Equal, Expect, IsAny, Not } from "./assert.ts"

type ConfigInvalid = ResilienceConfig.ConfigInvalid

// -----------------------------------------------------------------------------
// every option that is data is there, and no other
// -----------------------------------------------------------------------------

/** A duration as data has it. */
type Time = Extract<Duration.Input, string | number>

/** What cannot stand in a file. */
type NotData = ((...args: ReadonlyArray<never>) => unknown) | Schedule.Schedule<unknown> | undefined

/** What is left of options where only data is allowed. */
type DataOf<T> = [Duration.Duration] extends [T] ? Time | MemberOf<Exclude<T, Duration.Input>> : MemberOf<T>

type MemberOf<T> = T extends NotData ? never
  : T extends string | number | boolean ? T
  : T extends ReadonlyArray<infer Member> ? ReadonlyArray<DataOf<Member>>
  : string extends keyof T ? { readonly [x: string]: DataOf<T[string]> }
  : NeedsMore<T> extends true ? never
  : Flat<
    & { readonly [K in keyof T as IfData<T, K, true>]: DataOf<T[K]> }
    & { readonly [K in keyof T as IfData<T, K, false>]?: DataOf<T[K]> }
  >

type IsRequired<T, K extends keyof T> = {} extends Pick<T, K> ? false : true

/** `K`, where it holds data, and is required or not. */
type IfData<T, K extends keyof T, Required extends boolean> = [DataOf<T[K]>] extends [never] ? never
  : IsRequired<T, K> extends Required ? K
  : never

/** Whether an object needs something that is no data. */
type NeedsMore<T> = true extends
  { [K in keyof T]-?: IsRequired<T, K> extends true ? [DataOf<T[K]>] extends [never] ? true : false : false }[keyof T]
  ? true
  : false

type Flat<T> = { readonly [K in keyof T]: T[K] }

/** What a schema decodes to, in the same form. */
type Decoded<T> = T extends string | number | boolean ? T
  : T extends ReadonlyArray<infer Member> ? ReadonlyArray<Decoded<Member>>
  : Flat<{ readonly [K in keyof T]: Decoded<T[K]> }>

type IsComplete<K extends keyof Pipeline.Overrides> = Equal<
  Decoded<NonNullable<ResilienceConfig.Pipeline[K]>>,
  DataOf<Pipeline.Overrides[K]>
>

export type Options = [
  Expect<IsComplete<"totalTimeout">>,
  Expect<IsComplete<"retry">>,
  Expect<IsComplete<"retryBudget">>,
  Expect<IsComplete<"hedge">>,
  Expect<IsComplete<"throttle">>,
  Expect<IsComplete<"rateLimit">>,
  Expect<IsComplete<"bulkhead">>,
  Expect<IsComplete<"adaptiveLimit">>,
  Expect<IsComplete<"circuitBreaker">>,
  Expect<IsComplete<"keyedCircuitBreaker">>,
  Expect<IsComplete<"attemptTimeout">>,
  Expect<IsComplete<"chaos">>,
  Expect<IsComplete<"cache">>,
  Expect<IsComplete<"streams">>,
  Expect<IsComplete<"idempotent">>,
  // and there are no other parts
  Expect<Equal<keyof ResilienceConfig.Pipeline, keyof Pipeline.Tuning>>,
  Expect<Equal<keyof NonNullable<ResilienceConfig.Pipeline["operations"]>[string], keyof Pipeline.Overrides>>
]

// the comparison itself finds what is missing, what is too much, and what is another type
export type Comparison = [
  Expect<Equal<DataOf<{ readonly a?: number; readonly f?: () => void }>, { readonly a?: number }>>,
  Expect<Not<Equal<DataOf<{ readonly a?: number; readonly b?: string }>, { readonly a?: number }>>>,
  Expect<Not<Equal<DataOf<{ readonly a?: number }>, { readonly a: number }>>>,
  Expect<Equal<DataOf<{ readonly rate: number; readonly run: () => void } | undefined>, never>>,
  Expect<Equal<DataOf<Duration.Input | { readonly quantile: number }>, Time | { readonly quantile: number }>>
]

// -----------------------------------------------------------------------------
// what is decoded is what pipelines are tuned by
// -----------------------------------------------------------------------------

declare const one: ResilienceConfig.Pipeline
declare const all: ResilienceConfig.Pipelines

export const tuning: Pipeline.Tuning = one
export const tunings: Readonly<Record<string, Pipeline.Tuning>> = all
export const options: Pipeline.Options = one

export const written: typeof ResilienceConfig.Pipelines.Encoded = {
  payments: {
    totalTimeout: "10 seconds",
    attemptTimeout: 2_000,
    retry: { times: "3", backoff: { kind: "constant", delay: "1 second" }, retryOn: "Busy,Late" },
    circuitBreaker: "false",
    idempotent: "true",
    operations: { refund: { retry: false } }
  }
}

export const misspelt: typeof ResilienceConfig.Pipelines.Encoded = {
  // @ts-expect-error an option that there is not
  payments: { retry: { tries: 3 } }
}

export const withFunction: typeof ResilienceConfig.Pipelines.Encoded = {
  // @ts-expect-error a function is no data
  payments: { retry: { backoff: () => 5 } }
}

// -----------------------------------------------------------------------------
// errors and requirements
// -----------------------------------------------------------------------------

const decoded = ResilienceConfig.decode({})
const loaded = ResilienceConfig.load("policies")
const layer = ResilienceConfig.layer({})
const layerConfig = ResilienceConfig.layerConfig()
const reconfigured = ResilienceConfig.reconfigure({})
const made = ResilienceConfig.pipelines({})
const unclaimed = ResilienceConfig.unclaimed

export type Signatures = [
  Expect<Not<IsAny<ResilienceConfig.Pipelines>>>,
  Expect<Not<IsAny<ConfigInvalid>>>,
  Expect<Equal<typeof decoded, Effect.Effect<ResilienceConfig.Pipelines, ConfigInvalid>>>,
  Expect<Equal<typeof loaded, Effect.Effect<ResilienceConfig.Pipelines, ConfigInvalid>>>,
  Expect<Equal<typeof layer, Layer.Layer<Resilience.Resilience, ConfigInvalid>>>,
  Expect<Equal<typeof layerConfig, Layer.Layer<Resilience.Resilience, ConfigInvalid>>>,
  Expect<Equal<typeof reconfigured, Effect.Effect<void, ConfigInvalid, Resilience.Resilience>>>,
  Expect<
    Equal<
      typeof made,
      Effect.Effect<
        ReadonlyMap<string, Pipeline.Pipeline<Pipeline.PipelineError>>,
        ConfigInvalid,
        Resilience.Resilience
      >
    >
  >,
  Expect<Equal<typeof unclaimed, Effect.Effect<ReadonlyArray<string>, never, Resilience.Resilience>>>
]

/** A pipeline that is made from data alone adds all errors that there are, and nothing else. */
export const protecting = Effect.gen(function*() {
  const pipelines = yield* made
  const payments = pipelines.get("payments")
  return payments === undefined ? "none" : yield* payments.protect(Effect.fail("broken" as const))
})

export type Protecting = Expect<
  Equal<
    typeof protecting,
    Effect.Effect<string, "broken" | Pipeline.PipelineError | ConfigInvalid, Resilience.Resilience>
  >
>

// @ts-expect-error the path is text
ResilienceConfig.load(["policies"])

// @ts-expect-error without `Resilience` there is nothing to reconfigure
Effect.runSync(ResilienceConfig.reconfigure({}))
