/** The metric registry of the process is shared by all tests. */
import { Effect, Metric } from "effect"

/** Runs it with a registry of its own. */
export const fresh = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Effect.provideService(self, Metric.MetricRegistry, new Map()))
