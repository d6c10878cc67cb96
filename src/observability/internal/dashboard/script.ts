/**
 * What the dashboard does in the browser.
 *
 * Names and kinds of errors come from others: they are put into the page as text
 * alone, never as markup. The script is text here, so that the build carries it as it
 * is; it has no backtick and no "dollar brace", which would end or fill it.
 */
export const script = String.raw`
"use strict"
const byId = (id) => document.getElementById(id)
const { api, assets, plots } = document.body.dataset
const list = byId("rows")

// ------------------------------------------------------------------ what is known

/** By name: what the server says, what was sampled of it, and what stands in the page. */
const services = new Map()
/** The server's clock against ours, in milliseconds. */
let skew = 0
let lastFrame = 0
const serverNow = () => Date.now() + skew

const historyLength = 300
let windowOf = 0
/** When the server began to look, by its clock. */
let lookedFrom = 0

const take = (frame) => {
  skew = frame.at - Date.now()
  lookedFrom = frame.since
  lastFrame = performance.now()
  if (frame.full) {
    const names = new Set(frame.services.map(({ name }) => name))
    for (const [name, service] of services) {
      if (names.has(name)) continue
      service.view?.item.remove()
      services.delete(name)
    }
  }
  for (const change of frame.services) {
    let service = services.get(change.name)
    if (service === undefined) {
      service = { known: {}, samples: [], view: undefined, plots: undefined, rates: {} }
      services.set(change.name, service)
    }
    const { counts } = service.known
    Object.assign(service.known, change)
    // of counters only those come that have changed
    if (change.counts && counts && !frame.full) service.known.counts = { ...counts, ...change.counts }
    service.dirty = true
  }
  render()
  if (frame.full) {
    stretch()
    arrange(true)
  }
}

// ------------------------------------------------------------------ the connection

const link = byId("link")
let source
let failures = 0
let timer

const connect = () => {
  clearInterval(timer)
  source = new EventSource(api + "/changes")
  lastFrame = performance.now()
  source.onmessage = ({ data }) => {
    take(JSON.parse(data))
    if (link.dataset.link !== "live") {
      failures = 0
      link.dataset.link = "live"
      link.textContent = "Live"
      document.body.classList.remove("stale")
    }
  }
  source.onerror = () => lost()
}

const lost = () => {
  source.close()
  const since = new Date(serverNow()).toLocaleTimeString()
  const again = Date.now() + 1000 * Math.min(10, 2 ** failures++)
  document.body.classList.add("stale")
  link.dataset.link = "lost"
  link.textContent = "Connection lost. What you see is from " + (link.dataset.seen ?? since) + ". Trying again."
  link.dataset.seen ??= since
  clearInterval(timer)
  timer = setInterval(() => {
    if (Date.now() < again) return
    connect()
  }, 200)
}

// the server says at least every 5 seconds that it is there
setInterval(() => {
  if (source?.readyState !== EventSource.CLOSED && performance.now() - lastFrame > 12_000) lost()
  if (link.dataset.link === "live") delete link.dataset.seen
}, 1_000)

// ------------------------------------------------------------------ words and numbers

const looks = {
  Closed: ["good", "✓", "Closed"], HalfOpen: ["warn", "◐", "Half-open"], Open: ["bad", "✕", "Open"],
  forcedOpen: ["bad", "✋", "Forced open"], disabled: ["hand", "✋", "Disabled"],
  forcedClosed: ["hand", "✋", "Forced closed"], metricsOnly: ["hand", "✋", "Counts only"], none: ["none", "–", "No breaker"]
}
const lookOf = ({ mode, state }) => looks[(state === "Forced" && mode) || state || "none"] ?? looks.none
const ranks = { bad: 4, warn: 3, hand: 2, good: 1, none: 0 }

const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 })
const number = (value) => value === null || value === undefined ? "–" : Math.abs(value) >= 10_000 ? compact.format(value) : value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value >= 10 ? value.toFixed(1) : value.toPrecision(2)
const rate = (value) => value === undefined ? "–" : value < 100 ? String(Math.round(value * 10) / 10) : number(value)
const millis = (value) => value === undefined || value === null ? "–" : number(value)
const percent = (value) => value === undefined ? "–" : value === 1 ? "100%" : (Math.floor(value * 1000) / 10).toFixed(1) + "%"
const clock = (at) => new Date(at).toLocaleTimeString()
const span = (length) => {
  const seconds = Math.max(0, Math.round(length / 1000))
  if (length < 1000) return Math.max(0, Math.round(length)) + " ms"
  if (seconds < 60) return seconds + " s"
  if (seconds < 3600) return Math.floor(seconds / 60) + " min " + (seconds % 60) + " s"
  if (seconds < 86_400) return Math.floor(seconds / 3600) + " h " + Math.floor(seconds % 3600 / 60) + " min"
  return Math.floor(seconds / 86_400) + " d " + Math.floor(seconds % 86_400 / 3600) + " h"
}
const sinceOf = ({ mode, nextProbe, openSince, state }) => {
  if (state === null || state === "Closed" || openSince === null) return ""
  const parts = ["since " + clock(openSince) + " (" + span(Math.max(1000, serverNow() - openSince)) + ")"]
  if (state === "Open" && nextProbe !== null) {
    const left = nextProbe - serverNow()
    parts.push(left > 0 ? "probe in " + span(Math.max(1000, left)) : "next call is a probe")
  }
  return parts.join(", ")
}

// ------------------------------------------------------------------ samples and rates

const sample = () => {
  const at = serverNow()
  for (const service of services.values()) {
    const { counts, latency, load } = service.known
    const { samples } = service
    samples.push({
      at: at / 1000,
      calls: counts?.calls ?? 0, success: counts?.success ?? 0, failed: (counts?.failure ?? 0) + (counts?.overload ?? 0),
      refused: counts?.refusedCalls ?? 0, retries: counts?.retries ?? 0, latency, inFlight: load?.inFlight
    })
    if (samples.length > historyLength + 30) samples.splice(0, 30)
    const now = samples.at(-1)
    const over = (seconds, member) => {
      const then = samples.at(-1 - Math.min(seconds, samples.length - 1))
      return Math.max(0, now[member] - then[member]) / Math.max(1, now.at - then.at)
    }
    const { rates } = service
    const before = rates.text
    if (counts && samples.length > 1) {
      rates.calls = over(5, "calls")
      rates.refused = over(5, "refused")
      rates.retries = over(5, "retries")
      const calls = over(30, "calls")
      rates.success = calls === 0 ? undefined : Math.min(1, over(30, "success") / calls)
    }
    rates.text = [rates.calls, rates.refused, rates.retries, rates.success].join()
    if (rates.text !== before) service.dirty = true
  }
}

// ------------------------------------------------------------------ rows

const make = (tag, className, ...children) => {
  const element = document.createElement(tag)
  if (className) element.className = className
  element.append(...children)
  return element
}
/** Writes only what is new: most of what a frame brings is what stands there. */
const write = (element, text) => {
  if (element.said === text) return
  element.said = text
  element.textContent = text
}
const mark = (element, name, value) => {
  if (element.dataset[name] !== value) element.dataset[name] = value
}

const columns = [
  ["Req/s", ({ rates }) => rate(rates.calls)],
  ["Success", ({ rates }) => percent(rates.success)],
  ["Refused/s", ({ rates }) => rate(rates.refused)],
  ["p50", ({ known }) => millis(known.latency?.p50)],
  ["p95", ({ known }) => millis(known.latency?.p95)],
  ["p99", ({ known }) => millis(known.latency?.p99)],
  ["Retries/s", ({ rates }) => rate(rates.retries)],
  ["In flight", ({ known: { load } }) => load === null || load === undefined ? "–" : load.inFlight + (load.limit === null ? "" : "/" + number(load.limit))]
]
const spoken = { "Req/s": "requests a second", "Refused/s": "refused a second", "Retries/s": "retries a second" }

let made = 0
const viewOf = (service) => {
  if (service.view !== undefined) return service.view
  const { name } = service.known
  const title = make("bdi", "name")
  title.textContent = name
  title.title = name
  const state = make("span", "state")
  const glyph = make("span")
  glyph.ariaHidden = "true"
  const word = make("span", "word")
  state.append(glyph, word)
  const strip = make("span", "strip")
  strip.setAttribute("role", "img")
  const numbers = columns.map(([label]) => {
    const value = make("span")
    const hidden = make("span", "hidden")
    hidden.textContent = (spoken[label] ?? label) + ": "
    const small = make("small")
    small.textContent = label
    small.ariaHidden = "true"
    const cell = make("span", "num", hidden, small, value)
    return { cell, value }
  })
  const since = make("span", "since")
  const button = make("button", "row", make("span", "title", title, state), strip, ...numbers.map(({ cell }) => cell), since)
  button.type = "button"
  button.ariaExpanded = "false"
  const item = make("li", "", button)
  item.id = "service-" + made++
  item.service = service
  button.addEventListener("click", () => toggle(service))
  service.view = { item, button, state, glyph, word, strip, numbers: numbers.map(({ value }) => value), since }
  return service.view
}

const colors = { Closed: "var(--strip-good)", HalfOpen: "var(--strip-warn)", Open: "var(--strip-bad)", Forced: "var(--strip-hand)" }
const windowWords = () => windowOf < 3_600_000 ? windowOf / 60_000 + " min" : "hour"
const stateWords = { Closed: "closed", HalfOpen: "half-open", Open: "open", Forced: "held by hand" }

/** The state over the last ten minutes, as pieces from when to when. */
const piecesOf = ({ state, timeline }, now) => {
  const from = now - windowOf
  const pieces = []
  const first = timeline?.[0]
  const changes = timeline?.length ? [{ at: 0, state: first.state === "Closed" ? undefined : "Closed" }, ...timeline] : [{ at: 0, state }]
  changes.forEach((change, n) => {
    const start = Math.max(from, lookedFrom, change.at)
    const end = Math.min(now, changes[n + 1]?.at ?? now)
    if (end > start && change.state) pieces.push({ state: change.state, start: (start - from) / windowOf, end: (end - from) / windowOf })
  })
  return pieces
}
const drawStrip = (strip, known) => {
  if (known.state === null) return write(strip, "")
  const pieces = piecesOf(known, serverNow())
  // what was open for a moment is to be seen all the same: it begins earlier, in place of what was before
  const begins = pieces.map(({ end, start, state }) => state === "Open" ? Math.max(0, Math.min(start, end - 0.006)) : start)
  const stops = pieces.map(({ end, state }, n) => {
    const until = Math.min(end, begins[n + 1] ?? end)
    return colors[state] + " " + (begins[n] * 100).toFixed(2) + "% " + (until * 100).toFixed(2) + "%"
  })
  const unseen = pieces.length > 0 && begins[0] > 0.001 ? ["var(--strip-none) 0 " + (begins[0] * 100).toFixed(2) + "%"] : []
  const gradient = [...unseen, ...stops].join(", ")
  if (strip.drawn !== gradient) {
    strip.drawn = gradient
    strip.style.backgroundImage = gradient === "" ? "none" : "linear-gradient(to right, " + gradient + ")"
  }
  const lengths = {}
  for (const { end, start, state } of pieces) lengths[state] = (lengths[state] ?? 0) + (end - start) * windowOf
  const label = "the last " + windowWords() + ": " + Object.entries(lengths).map(([state, length]) => stateWords[state] + (length > windowOf - 1000 ? "" : " for " + (length >= 60_000 ? Math.round(length / 60_000) + " min" : span(length)))).join(", ")
  if (strip.ariaLabel !== label) strip.ariaLabel = label
}

const drawRow = (service) => {
  const { known } = service
  const view = viewOf(service)
  const [tone, glyph, word] = lookOf(known)
  mark(view.item, "tone", tone)
  mark(view.item, "state", known.state ?? "none")
  mark(view.state, "tone", tone)
  write(view.glyph, glyph)
  write(view.word, word)
  write(view.since, sinceOf(known))
  columns.forEach(([, valueOf], n) => write(view.numbers[n], valueOf(service)))
  const { refused, success } = service.rates
  mark(view.numbers[1], "tone", success === undefined || success >= 0.99 ? "" : success < 0.9 ? "bad" : "warn")
  mark(view.numbers[2], "tone", refused > 0.05 ? "bad" : "")
  service.dirty = false
}

const draw = () => {
  let isNew = false
  for (const service of services.values()) {
    if (service.view === undefined) isNew = true
    if (service.dirty) drawRow(service)
    if (service.more !== undefined) drawMore(service)
  }
  if (isNew) arrange(true)
  drawSums()
}
let isDrawing = false
const render = () => {
  if (isDrawing) return
  isDrawing = true
  // a page that nobody sees has no frames, and is to be right when somebody looks
  if (document.hidden) setTimeout(() => { isDrawing = false; draw() })
  else requestAnimationFrame(() => { isDrawing = false; draw() })
}

// ------------------------------------------------------------------ sums

const sums = [
  ["Services", () => services.size], ["Open", (count) => count.bad, "bad"], ["Half-open", (count) => count.warn, "warn"],
  ["By hand", (count) => count.hand, "hand"], ["Requests/s", (count) => rate(count.calls)]
].map(([label, valueOf, tone]) => {
  const term = make("dt")
  term.textContent = label
  const value = make("dd")
  const box = make("div", "", term, value)
  byId("sums").append(box)
  return { box, value, valueOf, tone }
})
let said = ""
const drawSums = () => {
  const count = { bad: 0, warn: 0, hand: 0, good: 0, none: 0, calls: 0 }
  for (const { known, rates } of services.values()) {
    count[lookOf(known)[0]]++
    count.calls += rates.calls ?? 0
  }
  for (const { box, tone, value, valueOf } of sums) {
    const now = valueOf(count)
    write(value, String(now))
    if (tone) mark(box, "on", now > 0 ? tone : "")
  }
  said = count.bad + " open, " + count.warn + " half-open, " + count.hand + " held by hand, of " + services.size + " services"
  const title = (count.bad > 0 ? "(" + count.bad + ") " : "") + document.querySelector("h1").textContent
  if (document.title !== title) document.title = title
}
// not more often than one can listen
setInterval(() => { if (services.size > 0) write(byId("said"), said) }, 4_000)

// ------------------------------------------------------------------ order and search

const find = byId("find")
const sort = byId("sort")
const name = ({ known }) => known.name
const collator = new Intl.Collator(undefined, { numeric: true })
const byName = (a, b) => collator.compare(name(a), name(b))
const trouble = ({ known, rates }) => {
  const rank = ranks[lookOf(known)[0]] * 10
  return rank + (rates.refused > 0.05 ? 3 : 0) + (rates.success !== undefined && rates.success < 0.99 ? 2 : 0) + (rates.retries > 0.05 ? 1 : 0)
}
const orders = {
  trouble: (a, b) => trouble(b) - trouble(a) || byName(a, b),
  name: byName,
  rate: (a, b) => (b.rates.calls ?? -1) - (a.rates.calls ?? -1) || byName(a, b),
  p99: (a, b) => (b.known.latency?.p99 ?? -1) - (a.known.latency?.p99 ?? -1) || byName(a, b)
}

/** Puts the rows in order; not under somebody's hands, unless it is asked for. */
const arrange = (isAsked) => {
  if (!isAsked && (list.contains(document.activeElement) || list.matches(":hover"))) return
  const focused = document.activeElement
  const sorted = [...services.values()].sort(orders[sort.value])
  let at = list.firstElementChild
  for (const service of sorted) {
    const { item } = viewOf(service)
    if (item === at) at = at.nextElementSibling
    else list.insertBefore(item, at)
  }
  if (list.contains(focused)) focused.focus({ preventScroll: true })
  const wanted = find.value.trim().toLocaleLowerCase()
  let shown = 0
  for (const service of sorted) {
    const isShown = wanted === "" || name(service).toLocaleLowerCase().includes(wanted)
    if (service.view.item.hidden === isShown) service.view.item.hidden = !isShown
    if (isShown) shown++
  }
  write(byId("shown"), shown === services.size ? "" : shown + " of " + services.size + " services")
  byId("empty").hidden = shown > 0 || services.size === 0
}
const past = byId("past")
/** As long as somebody has chosen, or as is of use: a minute at first, then ten. */
const stretch = () => {
  const chosen = past.value === "auto" ? (serverNow() - lookedFrom < 60_000 ? 1 : 10) : Number(past.value)
  if (windowOf === chosen * 60_000) return
  windowOf = chosen * 60_000
  write(byId("past-head"), "Last " + windowWords())
  for (const { known, view } of services.values()) if (view !== undefined) drawStrip(view.strip, known)
  render()
}
past.addEventListener("change", stretch)
find.addEventListener("input", () => arrange(true))
sort.addEventListener("change", () => arrange(true))
byId("tools").addEventListener("submit", (event) => event.preventDefault())

document.addEventListener("keydown", (event) => {
  const inField = event.target.matches?.("input, select, textarea")
  if (event.key === "/" && !inField) {
    event.preventDefault()
    find.focus()
  }
  if (event.key === "Escape") {
    const item = event.target.closest?.("#rows > li")
    if (item?.service.more !== undefined) {
      toggle(item.service)
      item.service.view.button.focus()
    }
  }
  if ((event.key === "ArrowDown" || event.key === "ArrowUp") && event.target.matches?.(".row, #find")) {
    event.preventDefault()
    const rows = [...list.querySelectorAll(":scope > li:not([hidden]) > .row")]
    const at = rows.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1)
    if (at < 0) find.focus()
    else rows[at]?.focus()
  }
})

// ------------------------------------------------------------------ one service

const facts = [
  ["Open since", ({ known }) => known.openSince === null ? "–" : clock(known.openSince) + " (" + span(Math.max(1000, serverNow() - known.openSince)) + ")"],
  ["Next probe", ({ known: { nextProbe } }) => nextProbe === null ? "–" : nextProbe <= serverNow() ? "with the next call" : clock(nextProbe) + " (in " + span(Math.max(1000, nextProbe - serverNow())) + ")"],
  ["Openings", ({ known }) => known.recovery.openings],
  ["Recoveries", ({ known }) => known.recovery.recoveries],
  ["Mean time to recovery", ({ known: { recovery } }) => recovery.meanTimeToRecovery === null ? "–" : span(recovery.meanTimeToRecovery)],
  ["Last error", ({ known: { lastError } }) => lastError === null ? "–" : lastError.kind + " at " + clock(lastError.at)],
  ["In flight, limit", ({ known: { load } }) => load === null ? "no limit" : load.inFlight + " of " + (load.limit ?? "any number")],
  ["Waiting", ({ known: { load } }) => load === null ? "–" : load.waiting],
  ["Calls", ({ known: { counts } }) => counts === null ? "–" : counts.calls.toLocaleString()],
  ["Refused", ({ known: { counts } }) => counts === null ? "–" : counts.refusedCalls.toLocaleString()],
  ["Retries", ({ known: { counts } }) => counts === null ? "–" : counts.retries.toLocaleString()],
  ["Timed out", ({ known: { counts } }) => counts === null ? "–" : counts.timedOut.toLocaleString()],
  ["Fallbacks", ({ known: { counts } }) => counts === null ? "–" : counts.fellBack.toLocaleString()],
  ["Cache hits", ({ known: { counts } }) => counts === null ? "–" : counts.cacheHits.toLocaleString()],
  ["Retry budget left", ({ known: { budgetLeft } }) => budgetLeft === null ? "–" : number(Math.floor(budgetLeft))]
]

const toggle = (service) => {
  const { button, item } = service.view
  if (service.more !== undefined) {
    service.more.plots?.forEach(({ plot }) => plot.destroy())
    service.more.watching?.disconnect()
    service.more.panel.remove()
    service.more = undefined
    button.ariaExpanded = "false"
    return
  }
  const full = make("bdi", "full")
  full.textContent = service.known.name
  const values = facts.map(([label]) => {
    const term = make("dt")
    term.textContent = label
    return { term, value: make("dd") }
  })
  const strip = make("span", "strip")
  strip.setAttribute("role", "img")
  const ago = make("span")
  const ends = make("div", "ends", ago, make("span", "", "now"))
  const key = make("ul", "key", ...[["good", "closed"], ["warn", "half-open"], ["bad", "open"], ["hand", "held by hand"]].map(([tone, word]) => {
    const box = make("i", tone)
    return make("li", "", box, word)
  }))
  const log = make("ol", "log")
  const bar = make("section", "bar", heading("States"), strip, ends, key)
  const changes = make("section", "", heading("Last changes"), log)
  const breakers = make("section", "", heading("Breakers"), make("ol", "log"))
  const figures = make("div", "plots")
  // the row shows two lines of it
  full.hidden = service.known.name.length < 40 && !service.known.name.includes("\n")
  const panel = make("div", "more", full, make("dl", "facts", ...values.map(({ term, value }) => make("div", "", term, value))), figures, bar, changes, breakers)
  panel.id = item.id + "-more"
  button.setAttribute("aria-controls", panel.id)
  service.more = { panel, values: values.map(({ value }) => value), strip, ago, log, breakers, figures }
  if (service.known.breakerCount > 0) panel.append(controlOf(service))
  item.append(panel)
  button.ariaExpanded = "true"
  drawMore(service)
  addPlots(service)
}
const heading = (text) => {
  const made = make("h2")
  made.textContent = text
  return made
}

const drawMore = (service) => {
  const { known, more } = service
  facts.forEach(([, valueOf], n) => write(more.values[n], String(valueOf(service))))
  drawStrip(more.strip, known)
  write(more.ago, (windowOf < 3_600_000 ? "" : "1 ") + windowWords() + " ago")
  const changes = (known.timeline ?? []).slice(-12).reverse()
  const text = JSON.stringify(changes)
  if (more.told !== text) {
    more.told = text
    more.log.replaceChildren(...changes.map(({ at, state }) => {
      const time = make("time")
      time.dateTime = new Date(at).toISOString()
      time.textContent = clock(at)
      return make("li", "", time, " " + stateWords[state])
    }))
    if (changes.length === 0) more.log.replaceChildren(make("li", "", "none that was seen"))
  }
  more.breakers.hidden = known.breakerCount < 2 && known.breakers[0]?.key === null
  const all = known.breakers.map((breaker) => (breaker.key === null ? breaker.name : breaker.name + " " + JSON.stringify(breaker.key)) + ": " + lookOf(breaker)[2])
  if (known.breakerCount > all.length) all.push("and " + (known.breakerCount - all.length) + " more")
  if (more.listed !== all.join("\n")) {
    more.listed = all.join("\n")
    more.breakers.lastElementChild.replaceChildren(...all.map((text) => make("li", "", make("bdi", "", text))))
  }
}

// ------------------------------------------------------------------ control by hand

/** Kept as long as the page is open, and nowhere else. */
let token = ""
const controlOf = (service) => {
  const which = make("select")
  const fill = () => which.replaceChildren(...service.known.breakers.map((breaker, n) => {
    const option = make("option")
    option.value = String(n)
    option.textContent = breaker.key === null ? breaker.name : breaker.name + " " + JSON.stringify(breaker.key)
    option.breaker = breaker
    return option
  }))
  fill()
  which.addEventListener("focus", fill)
  const secret = make("input")
  secret.type = "password"
  secret.autocomplete = "off"
  secret.value = token
  secret.addEventListener("input", () => { token = secret.value })
  const answer = make("output", "note")
  const ask = async (action, word) => {
    const { key, name } = which.selectedOptions[0].breaker
    answer.value = ""
    try {
      const response = await fetch(api + "/control", {
        method: "POST",
        headers: { "content-type": "application/json", authorization: "Bearer " + token },
        body: JSON.stringify({ action, breaker: name, ...(key === null ? {} : { key }) })
      })
      if (response.ok) answer.value = "Done: " + word.toLowerCase() + "."
      else {
        const problem = await response.json().catch(() => ({}))
        answer.value = response.status === 401 ? "The server does not know this token." : "Not done: " + (problem.detail ?? problem.title ?? response.status) + "."
      }
    } catch {
      answer.value = "Not done: the server cannot be reached."
    }
  }
  const buttons = [["forceOpen", "Force open"], ["forceClosed", "Force closed"], ["disable", "Disable"], ["release", "Release"], ["reset", "Reset"]].map(([action, word]) => {
    const button = make("button", "act")
    button.type = "button"
    button.textContent = word
    button.addEventListener("click", () => ask(action, word))
    return button
  })
  const form = make("form", "by-hand", make("label", "", "Breaker", which), make("label", "", "Token", secret), ...buttons, answer)
  form.addEventListener("submit", (event) => event.preventDefault())
  const summary = make("summary")
  summary.textContent = "Control by hand"
  return make("details", "", summary, form)
}

// ------------------------------------------------------------------ plots

const library = plots === "true" ? import(new URL(assets + "/uplot.js", document.baseURI).href).then((module) => module.default, () => undefined) : undefined
const per = (service, member) => service.samples.map((now, n) => {
  const then = service.samples[n - 1]
  return then === undefined ? null : Math.max(0, now[member] - then[member]) / Math.max(0.5, now.at - then.at)
})
const kinds = [
  { title: "Requests a second", series: [["succeeded", "--good"], ["failed", "--bad", [2, 3]], ["refused", "--warn", [8, 4]]],
    data: (service) => [per(service, "success"), per(service, "failed"), per(service, "refused")] },
  { title: "Latency of calls, ms", series: [["p50", "--good"], ["p95", "--warn", [8, 4]], ["p99", "--bad", [2, 3]]],
    data: (service) => ["p50", "p95", "p99"].map((quantile) => service.samples.map(({ latency }) => latency?.[quantile] ?? null)) }
]
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
const times = (service) => service.samples.map(({ at }) => at - skew / 1000)

const addPlots = async (service) => {
  const { more } = service
  const Plot = await library
  if (Plot === undefined || service.more !== more) {
    if (Plot === undefined) more.figures.replaceChildren(make("p", "note", "Plots need the package uplot beside effect-resilience on the server."))
    return
  }
  more.plots = kinds.map((kind) => {
    const caption = make("figcaption", "", kind.title)
    const place = make("div")
    const figure = make("figure", "", caption, place)
    more.figures.append(figure)
    const axis = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 }, font: "11px system-ui, sans-serif" }
    const plot = new Plot({
      width: Math.max(240, figure.clientWidth), height: 190, cursor: { drag: { x: false, y: false } },
      scales: { y: { range: (_, min, max) => [0, Math.max(1, (max ?? 0) * 1.1)] } },
      axes: [{ ...axis }, { ...axis, size: 46 }],
      series: [{ value: (_, at) => at === null ? "–" : clock(at * 1000) }, ...kind.series.map(([label, color, dash]) => ({
        label, stroke: css(color), width: 2, ...(dash && { dash }), points: { show: false }, value: (_, value) => value === null ? "–" : number(value)
      }))]
    }, [times(service), ...kind.data(service)], place)
    place.setAttribute("role", "img")
    place.ariaLabel = kind.title + ": the last five minutes, as far as this page was open"
    return { plot, kind, figure }
  })
  more.watching = new ResizeObserver(() => {
    for (const { figure, plot } of more.plots) {
      const width = Math.max(240, figure.clientWidth)
      if (plot.width !== width) plot.setSize({ width, height: 190 })
    }
  })
  more.plots.forEach(({ figure }) => more.watching.observe(figure))
}
const drawPlots = () => {
  for (const service of services.values()) {
    service.more?.plots?.forEach(({ kind, plot }) => plot.setData([times(service), ...kind.data(service)]))
  }
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  // colours of plots are drawn in
  for (const service of services.values()) if (service.more !== undefined) { toggle(service); toggle(service) }
})

// ------------------------------------------------------------------ every second

let turns = 0
setInterval(() => {
  if (link.dataset.link === "live") sample()
  turns++
  if (services.size > 0) stretch()
  for (const service of services.values()) {
    if (service.view === undefined) continue
    if (service.known.openSince !== null) service.dirty = true
    // a pixel of a strip is some seconds
    if (turns % 4 === 1 || service.known.state !== service.striped) {
      service.striped = service.known.state
      drawStrip(service.view.strip, service.known)
    }
  }
  render()
  drawPlots()
  arrange(false)
}, 1_000)

connect()
`
