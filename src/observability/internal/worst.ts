/** Which of several breakers is worst, and since when. */
import type * as Recoveries from "../Recoveries.ts"
import type * as Status from "../Status.ts"

interface Standing {
  readonly state: Recoveries.State
  readonly mode?: Recoveries.Recovery["mode"]
}

/** What calls meet, the worse the higher. What is let through by hand is worth a look, and no trouble. */
const rank = ({ mode, state }: Standing): number => {
  switch (state) {
    case "Open":
      return 4
    case "Forced":
      return mode === "forcedOpen" ? 5 : 2
    case "HalfOpen":
      return 3
    case "Closed":
      return 1
  }
}

export const worseFirst = <S extends Standing>(all: ReadonlyArray<S>): ReadonlyArray<S> =>
  all.length < 2 ? all : all.toSorted((a, b) => rank(b) - rank(a))

/** So many changes are told. */
const maxChanges = 50

/** Where the worst of several breakers stood, from when on: what their own timelines come to. */
export const timelineOf = (all: ReadonlyArray<Recoveries.Recovery>): Status.ServiceState["timeline"] => {
  const [first] = all
  if (first === undefined) return []
  if (all.length === 1) return first.timeline.slice(-maxChanges).map(({ at, to }) => ({ at, state: to }))
  const changes = all.flatMap(({ timeline }, breaker) => timeline.map((change) => ({ breaker, change })))
    .toSorted((a, b) => a.change.at - b.change.at)
  const standing = all.map((): Standing => ({ state: "Closed" }))
  const told: Array<Status.ServiceState["timeline"][number]> = []
  for (const { breaker, change: { at, mode, to } } of changes) {
    standing[breaker] = mode === undefined ? { state: to } : { state: to, mode }
    const state = worseFirst(standing)[0]?.state ?? "Closed"
    if (told.at(-1)?.state !== state) told.push({ at, state })
  }
  return told.slice(-maxChanges)
}
