/** A tracer that keeps its spans, and says briefly what they are. */
import { Effect, Option, Tracer } from "effect"
import { brief } from "./support.ts"

export const recordingTracer = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span(options) {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return {
    spans,
    traced: Effect.withTracer(tracer),
    tracer,
    /** One line for each, in the order in which they began: indented under its parent, with how it ended. */
    tree: () => spans.map((span) => `${"  ".repeat(depthOf(span))}${span.name}: ${endOf(span)}`),
    /** The attributes of each by their names. */
    attributes: () => spans.map(({ attributes }) => Object.fromEntries(attributes)),
    /** The events of each by their names, with their attributes. */
    events: () =>
      spans.map(({ events }) =>
        events.map(([name, , attributes]): Readonly<Record<string, unknown>> => ({ name, ...attributes }))
      )
  }
}

const depthOf = (span: Tracer.AnySpan): number => {
  const parent = span._tag === "Span" ? Option.getOrUndefined(span.parent) : undefined
  return parent === undefined ? 0 : 1 + depthOf(parent)
}

const endOf = ({ status }: Tracer.NativeSpan): string => {
  if (status._tag === "Started") return "not ended"
  return status.exit._tag === "Success" ? "ok" : String(brief(status.exit))
}
