/** Times as a person would say them. */

/** Milliseconds in words: `0.4 ms`, `35 ms`, `1.25 s`, `12 s`. */
export const time = (millis: number): string =>
  millis < 10
    ? `${millis.toFixed(1)} ms`
    : millis < 100
    ? `${millis.toFixed(0)} ms`
    : `${(millis / 1000).toFixed(millis < 10_000 ? 2 : 1).replace(/\.0+$/, "")} s`
