/** Times and shares as a person would say them. */

/** Milliseconds in words: `0.4 ms`, `35 ms`, `1.25 s`, `12 s`. */
export const time = (millis: number): string =>
  millis < 10
    ? `${millis.toFixed(1)} ms`
    : millis < 100
    ? `${millis.toFixed(0)} ms`
    : `${(millis / 1000).toFixed(millis < 10_000 ? 2 : 1).replace(/\.0+$/, "")} s`

/** A share in words. It is rounded down: 100 % means all of them. */
export const percent = (part: number, whole: number): string =>
  whole === 0 ? "none" : `${part === whole ? 100 : (Math.floor(1000 * part / whole) / 10).toFixed(1)} %`
