/** Answers by key, in memory: bounded in number, in bytes and in time. */
import type { Answer, Begun } from "../Idempotency.ts"

interface Kept {
  readonly fingerprint: string
  readonly answer: Answer
  readonly bytes: number
  readonly until: number
}

interface Running {
  readonly fingerprint: string
  readonly owner: string
}

export interface Settings {
  readonly capacity: number
  readonly maxBytes: number
  readonly ttl: number
}

export class Answers {
  // what runs is bounded by the server's concurrency, and is never dropped: that would let a request run twice
  readonly #running = new Map<string, Running>()
  // in the order of finishing, which with one lifetime for all is that of expiry
  readonly #kept = new Map<string, Kept>()
  readonly #settings: Settings
  #bytes = 0
  #owners = 0

  constructor(settings: Settings) {
    this.#settings = settings
  }

  begin(key: string, fingerprint: string, now: number): Begun {
    this.#expire(now)
    const kept = this.#kept.get(key)
    if (kept !== undefined) return { _tag: "Answered", fingerprint: kept.fingerprint, answer: kept.answer }
    const running = this.#running.get(key)
    if (running !== undefined) return { _tag: "Running", fingerprint: running.fingerprint }
    const owner = String(this.#owners++)
    this.#running.set(key, { fingerprint, owner })
    return { _tag: "Started", owner }
  }

  finish(key: string, owner: string, answer: Answer, now: number): void {
    const running = this.#running.get(key)
    if (running?.owner !== owner) return
    this.#running.delete(key)
    const bytes = sizeOf(key, answer)
    this.#kept.set(key, { fingerprint: running.fingerprint, answer, bytes, until: now + this.#settings.ttl })
    this.#bytes += bytes
    for (const [oldest, { bytes }] of this.#kept) {
      if (this.#kept.size <= this.#settings.capacity && this.#bytes <= this.#settings.maxBytes) break
      this.#drop(oldest, bytes)
    }
  }

  release(key: string, owner: string): void {
    if (this.#running.get(key)?.owner === owner) this.#running.delete(key)
  }

  snapshot() {
    return { running: this.#running.size, answers: this.#kept.size, bytes: this.#bytes }
  }

  #expire(now: number): void {
    for (const [key, { bytes, until }] of this.#kept) {
      if (until > now) break
      this.#drop(key, bytes)
    }
  }

  #drop(key: string, bytes: number): void {
    this.#kept.delete(key)
    this.#bytes -= bytes
  }
}

/** About what an answer takes, headers and bookkeeping included. */
const sizeOf = (key: string, { body, headers }: Answer): number =>
  256 + key.length + (body?.byteLength ?? 0) +
  Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + value.length, 0)
