/**
 * Follows the changes: connects, says how that is, and connects again.
 *
 * By `fetch`, since an `EventSource` can show no token but in the url, where it would
 * stand in logs.
 */
import type * as Status from "../../../Status.ts"
import { byId, hide, inputById, mark, write } from "./elements.ts"
import { authorization, isToken, tokens } from "./tokens.ts"
import { span } from "./words.ts"

/** The server says every 5 seconds that it is there; after this long without a word it is not, in milliseconds. */
const patience = 12_000
const longestWait = 10_000

export interface Handlers {
  readonly onFrame: (frame: Status.Frame) => void
  /** Whenever it begins or ends to be live. */
  readonly onChange: () => void
}

/** What the server says means nothing here: most likely it is of another version than this page. */
class NotUnderstood extends Error {}

const link = byId("link")
const form = byId("ask-token")
const field = inputById("read-token")

let isLive = false
export const live = (): boolean => isLive

/** Reads one stream to its end: `data: {...}` and an empty line for each frame. */
const read = async (body: ReadableStream<Uint8Array<ArrayBuffer>>, onFrame: (text: string) => void): Promise<void> => {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ""
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    text += value
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const event = text.slice(0, end)
      text = text.slice(end + 2)
      if (event.startsWith("data: ")) onFrame(event.slice("data: ".length))
    }
  }
}

export const follow = (url: string, { onChange, onFrame }: Handlers): void => {
  /** Ends the stream that there is. */
  let stop: AbortController | undefined
  let failures = 0
  /** When to try again, by the wall clock; `undefined` while there is a stream, or nobody to show a token. */
  let again: number | undefined
  /** By both clocks: while a computer sleeps, one of them stands still. */
  let heard = { steady: performance.now(), wall: Date.now() }
  /** When the last frame was made, as the reader's clock says it. */
  let seen: string | undefined

  const say = (state: "live" | "lost", text: string) => {
    mark(link, "link", state)
    write(link, text)
    document.body.classList.toggle("stale", state === "lost")
    isLive = state === "live"
    onChange()
  }

  const lost = (why: string, wait?: number) => {
    stop?.abort()
    stop = undefined
    again = Date.now() + (wait ?? Math.min(longestWait, 1000 * 2 ** failures++))
    say("lost", `${why}${seen === undefined ? "" : ` What you see is from ${seen}.`} Trying again.`)
  }

  /** Nothing is tried again before somebody has shown a token. */
  const ask = (why: string) => {
    stop = undefined
    again = undefined
    write(byId("token-note"), why)
    hide(form, false)
    say("lost", "Not connected: a token is needed.")
    field.focus()
  }

  const connect = async (): Promise<void> => {
    const own = new AbortController()
    stop = own
    again = undefined
    heard = { steady: performance.now(), wall: Date.now() }
    try {
      const response = await fetch(url, {
        headers: { accept: "text/event-stream", ...authorization(tokens.read) },
        cache: "no-store",
        signal: own.signal
      })
      if (stop !== own) return
      if (response.status === 401) {
        return ask(tokens.read === "" ? "This server asks for a token." : "The server does not know this token.")
      }
      if (response.status === 503) {
        const wait = Number(response.headers.get("retry-after")) * 1000 || longestWait
        return lost(`The server has no room for one more reader. Asking again in ${span(wait)}.`, wait)
      }
      if (!response.ok || response.body === null) return lost(`The server answers ${response.status}.`)
      await read(response.body, (text) => {
        if (stop !== own) return
        heard = { steady: performance.now(), wall: Date.now() }
        try {
          const frame: Status.Frame = JSON.parse(text)
          onFrame(frame)
        } catch {
          throw new NotUnderstood()
        }
        seen = new Date().toLocaleTimeString()
        if (isLive) return
        failures = 0
        hide(form, true)
        say("live", "Live")
      })
      if (stop === own) lost("Connection lost.")
    } catch (error) {
      if (stop !== own) return
      lost(error instanceof NotUnderstood ? "The server is not understood: reload this page." : "Connection lost.")
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault()
    const shown = field.value.trim()
    if (!isToken(shown)) return write(byId("token-note"), "A token has letters, digits and signs, and no spaces.")
    tokens.read = shown
    field.value = ""
    void connect()
  })

  const silence = () => Math.max(performance.now() - heard.steady, Date.now() - heard.wall)
  const look = () => {
    if (stop !== undefined && silence() > patience) lost("Connection lost.")
    if (again !== undefined && Date.now() >= again) void connect()
  }
  setInterval(look, 200)
  // somebody looks, or there is a network again: not to be waited for
  const hurry = () => {
    if (again !== undefined && !document.hidden) again = Math.min(again, Date.now())
    look()
  }
  document.addEventListener("visibilitychange", hurry)
  addEventListener("online", hurry)
  void connect()
}
