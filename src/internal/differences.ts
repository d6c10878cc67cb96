/** Comparing options and settings: durations in any form, and what is undefined as left out. */
import * as Duration from "effect/Duration"
import * as Equal from "effect/Equal"
import * as Schedule from "effect/Schedule"
import { show, toMillis } from "./options.ts"

const isOpaque = (value: unknown): boolean => typeof value === "function" || Schedule.isSchedule(value)

const isPlain = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Duration.isDuration(value)

// whatever is no duration has no milliseconds
const millis = (value: unknown): number | undefined => toMillis(value as Duration.Input)

/** Where two differ. Functions and schedules are not compared: written in place, no two are equal. */
export const differences = (had: unknown, wants: unknown): ReadonlyArray<string> => compare(had, wants, () => true, "")

/** Whether two are the same, their functions and schedules included. */
export const isSame = (had: unknown, wants: unknown): boolean => compare(had, wants, Object.is, "").length === 0

const compare = (
  had: unknown,
  wants: unknown,
  isSameOpaque: (had: unknown, wants: unknown) => boolean,
  path: string
): ReadonlyArray<string> => {
  if (isOpaque(had) && isOpaque(wants)) return isSameOpaque(had, wants) ? [] : [path]
  if (isPlain(had) && isPlain(wants) && !isOpaque(had) && !isOpaque(wants)) {
    const keys = new Set([...Object.keys(had), ...Object.keys(wants)])
    // an option that is undefined is one that was left out
    return [...keys].flatMap((key) =>
      compare(Reflect.get(had, key), Reflect.get(wants, key), isSameOpaque, path === "" ? key : `${path}.${key}`)
    )
  }
  const same = Equal.equals(had, wants) || (millis(had) !== undefined && millis(had) === millis(wants))
  return same ? [] : [`${path} ${show(had)}, not ${show(wants)}`]
}
