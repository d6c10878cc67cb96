/** Full-text search in the gateway's own memory: not as good as the vector store, and always there. */
import { Effect } from "effect"

const manual = [
  "A refund is open for 30 days after the charge.",
  "Backups are part of the team plan, and of every plan above it.",
  "A file may be read by its owner, and by those it was shared with.",
  "A credit is worth one cent, and is spent before anything is charged.",
  "A plan may be left at any time, to the end of the month."
]

const words = (text: string): ReadonlySet<string> => new Set(text.toLowerCase().match(/[a-z]{3,}/g))

const shared = (a: ReadonlySet<string>, b: ReadonlySet<string>): number => [...a].filter((word) => b.has(word)).length

/** The passages that share the most words with the text, the best one first. It cannot fail. */
export const search = (text: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.sync(() => {
    const asked = words(text)
    return manual
      .map((passage) => ({ passage, score: shared(words(passage), asked) }))
      .filter(({ score }) => score > 0)
      .toSorted((a, b) => b.score - a.score)
      .map(({ passage }) => passage)
  })
