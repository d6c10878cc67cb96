/** Server-sent events as they are read here: one call reads one stream, and connects no second time. */
import * as Equal from "effect/Equal"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"

/**
 * The response without its `retry` fields. They say how long to wait before
 * connecting again, which is up to the pipeline; Effect's decoder ends the stream
 * with each. `onFailure` is told when the service has said in an event how its
 * stream has failed.
 */
export const withoutRetryFields = (
  response: HttpClientResponse.HttpClientResponse,
  onFailure: () => void
): HttpClientResponse.HttpClientResponse =>
  /^text\/event-stream\b/i.test(response.headers["content-type"] ?? "")
    ? Equal.byReferenceUnsafe(Object.create(response, {
      stream: {
        get: () =>
          Stream.suspend(() => {
            const lines = new Lines(onFailure)
            return Stream.map(response.stream, (chunk) => lines.filter(chunk))
          })
      }
    }))
    : response

const encoder = new TextEncoder()
const field = encoder.encode("retry:")
/** The event by which a server of Effect tells the cause of a failure. */
const failureEvent = encoder.encode("effect/http-api/stream/failure")
const isEnd = (byte: number): boolean => byte === 10 || byte === 13

/** Drops lines that begin with the field, without holding more of any than its name. */
class Lines {
  /** How much of the name the current line has begun with; -1 where it is another line. */
  private matched = 0
  private isDropping = false
  /** How much of the name of the failure event has just passed. */
  private failing = 0
  private readonly onFailure: () => void
  constructor(onFailure: () => void) {
    this.onFailure = onFailure
  }

  filter(chunk: Uint8Array): Uint8Array {
    // what is held back from the chunk before is a part of the name
    const kept = new Uint8Array(chunk.length + field.length)
    let length = 0
    for (const byte of chunk) {
      this.watch(byte)
      if (this.isDropping) {
        // the line break stays: it ends the line before it, or an event
        if (!isEnd(byte)) continue
        this.isDropping = false
        this.matched = 0
      } else if (this.matched >= 0) {
        if (byte === field[this.matched]) {
          this.isDropping = ++this.matched === field.length
          continue
        }
        kept.set(field.subarray(0, this.matched), length)
        length += this.matched
        this.matched = isEnd(byte) ? 0 : -1
      } else if (isEnd(byte)) this.matched = 0
      kept[length++] = byte
    }
    return kept.subarray(0, length)
  }

  // Wherever the name stands: elsewhere than in an event's name, nothing fails of it.
  private watch(byte: number): void {
    this.failing = byte === failureEvent[this.failing] ? this.failing + 1 : byte === failureEvent[0] ? 1 : 0
    if (this.failing < failureEvent.length) return
    this.failing = 0
    this.onFailure()
  }
}
