// The script of the report: draws the plots, and lets one crosshair go through all of them, led by the pointer or by
// the slider. It runs in the browser as it stands here; uPlot stands in the page before it, the data in `#series`.
const series = JSON.parse(document.getElementById("series").textContent)
// In the order in which they are drawn: a pale broad line, dashes and a firm line can be told apart where they meet.
const names = ["plain", "retries", "resilient"]
const lineStyles = {
  plain: { width: 6, dash: [], stroke: () => style("plain-line") },
  retries: { width: 2.2, dash: [9, 5], stroke: () => style("retries") },
  resilient: { width: 3.4, dash: [], stroke: () => style("resilient") }
}
const slider = document.getElementById("time")
const readout = document.getElementById("readout")
const resting = new Map([...document.querySelectorAll("output[data-of]")].map((output) => [output, output.textContent]))
let plots = []

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()

const millis = (value) =>
  value < 1000 ? `${value < 10 ? value.toFixed(1) : Math.round(value)} ms` : `${Number((value / 1000).toFixed(2))} s`

const units = {
  answered: (value) => `${Math.round(value)} %`,
  waits: millis,
  load: (value) => `${Math.round(value)}/s`
}

// Writes the longest of the texts that there is room for.
const label = (ctx, texts, left, width, y) => {
  const text = texts.find((text) => ctx.measureText(text).width <= width) ?? texts.at(-1)
  ctx.fillText(text, left, y)
}

// Outages at one time are labelled one above the other: which row each has, and how far its label may reach.
const rows = []
for (const [index, { from }] of series.bands.entries()) {
  rows.push(series.bands.slice(0, index).some((other, n) => other.until > from && rows[n] === 0) ? 1 : 0)
}
const reach = series.bands.map((_, index) =>
  series.bands.find((_, other) => other > index && rows[other] === rows[index])?.from ?? series.seconds
)
const isStacked = rows.includes(1)

const faults = (u) => {
  const { ctx } = u
  const ratio = uPlot.pxRatio
  const { height, top } = u.bbox
  ctx.save()
  ctx.font = `${11.5 * ratio}px system-ui, sans-serif`
  ctx.textAlign = "left"
  ctx.textBaseline = "alphabetic"
  for (const [index, { from, name, number, service, until }] of series.bands.entries()) {
    const left = u.valToPos(from, "x", true)
    const right = u.valToPos(until, "x", true)
    const over = (4 + 14 * rows[index]) * ratio
    ctx.fillStyle = style("fault")
    ctx.fillRect(left, top, right - left, height)
    ctx.fillStyle = style("fault-edge")
    ctx.fillRect(left, top - over, ratio, height + over)
    ctx.fillStyle = style("fault-text")
    const long = `${number} ${series.strips.find((strip) => strip.service === service).name} ${name}`
    const room = u.valToPos(reach[index], "x", true) - left - 10 * ratio
    label(ctx, [long, `${number} ${name}`, `${number}`], left + 3 * ratio, room, top - (rows[index] * 14 + 5) * ratio)
  }
  ctx.restore()
}

const drawState = (ctx, state, left, width, middle, ratio) => {
  const height = 13 * ratio
  const top = middle - height / 2
  if (state === "Closed") {
    ctx.fillStyle = style("resilient")
    ctx.fillRect(left, middle - ratio, width, 2.5 * ratio)
    return
  }
  const wide = Math.max(width, (state === "Open" ? 2 : 4) * ratio)
  ctx.fillStyle = style(state === "Open" ? "text" : "card")
  ctx.fillRect(left, top, wide, height)
  if (state === "Open") {
    ctx.fillStyle = style("card")
    ctx.font = `600 ${10 * ratio}px system-ui, sans-serif`
    if (ctx.measureText("open").width + 8 * ratio < width) ctx.fillText("open", left + 4 * ratio, middle + 3.5 * ratio)
    return
  }
  ctx.save()
  ctx.beginPath()
  ctx.rect(left, top, wide, height)
  ctx.clip()
  ctx.strokeStyle = style("text")
  ctx.lineWidth = 1.2 * ratio
  ctx.beginPath()
  for (let x = left - height; x < left + wide; x += 4 * ratio) {
    ctx.moveTo(x, top + height)
    ctx.lineTo(x + height, top)
  }
  ctx.rect(left, top, wide, height)
  ctx.stroke()
  ctx.restore()
}

const strips = (u) => {
  const { ctx } = u
  const ratio = uPlot.pxRatio
  const lane = u.bbox.height / series.strips.length
  const right = u.bbox.left + u.bbox.width
  ctx.save()
  ctx.textAlign = "left"
  ctx.textBaseline = "alphabetic"
  for (const [index, { service, states }] of series.strips.entries()) {
    const top = u.bbox.top + index * lane
    ctx.fillStyle = style("line")
    ctx.fillRect(u.bbox.left, top + lane, u.bbox.width, ratio)
    for (const band of series.bands.filter((band) => band.service === service)) {
      const left = u.valToPos(band.from, "x", true)
      const width = u.valToPos(band.until, "x", true) - left
      ctx.fillStyle = style("fault")
      ctx.fillRect(left, top + ratio, width, lane - ratio)
      ctx.fillStyle = style("fault-text")
      ctx.font = `${11 * ratio}px system-ui, sans-serif`
      label(
        ctx,
        [`${band.number} ${band.name}`, `${band.number}`],
        left + 3 * ratio,
        width - 5 * ratio,
        top + 13 * ratio
      )
    }
    for (const { from, state, until } of states) {
      const left = Math.max(u.bbox.left, u.valToPos(from, "x", true))
      const end = Math.min(right, u.valToPos(until, "x", true))
      if (end >= left) drawState(ctx, state, left, end - left, top + lane - 11 * ratio, ratio)
    }
  }
  ctx.restore()
}

const narrow = () => document.documentElement.clientWidth < 700

const axes = (y) => {
  const base = { font: "12px system-ui, sans-serif", stroke: () => style("soft"), ticks: { show: false } }
  const grid = { stroke: () => style("grid"), width: 1 }
  return [
    { ...base, grid, size: 26, gap: 4, space: 60, values: (_, splits) => splits.map((split) => `${split} s`) },
    { ...base, grid, size: narrow() ? 50 : 84, gap: 6, ...y }
  ]
}

const cursor = { y: false, drag: { x: false, y: false }, sync: { key: "drill" }, points: { show: false } }

// A slice has one value from its beginning to its end, and the last has an end too.
const { edges } = series
const last = edges.length - 2
const middle = (index) => (edges[index] + edges[index + 1]) / 2
const stepped = (values) => [...values, values.at(-1)]
const sliceAt = (u) => {
  if (u.cursor.left < 0) return null
  const at = u.posToVal(u.cursor.left, "x")
  const next = edges.findIndex((edge) => edge > at)
  return next < 0 ? last : Math.max(0, next - 1)
}

const x = { time: false, range: () => [0, series.seconds] }

const lines = (of, height, scale, axis) => ({
  of,
  data: [edges, ...names.map((name) => stepped(series[of][name]))],
  options: {
    height,
    padding: [isStacked ? 34 : 20, 14, 0, 0],
    legend: { show: false },
    cursor,
    scales: { x, y: scale },
    axes: axes(axis),
    series: [
      {},
      ...names.map((name) => ({
        ...lineStyles[name],
        paths: uPlot.paths.stepped({ align: 1 }),
        points: { show: false }
      }))
    ],
    hooks: { drawClear: [faults], setCursor: [(u) => show(sliceAt(u))] }
  }
})

const waits = () => {
  const all = names.flatMap((name) => series.waits[name]).filter((value) => value !== null)
  const ends = [10 ** Math.floor(Math.log10(Math.min(10, ...all))), 1.25 * Math.max(100, ...all)]
  const splits = [1, 10, 100, 1000, 10_000, 100_000].filter((split) => split >= ends[0] && split <= ends[1])
  return lines("waits", narrow() ? 230 : 280, { distr: 3, range: () => ends }, {
    splits: () => splits,
    values: () => splits.map(millis).map((text) => text.replace(".0", ""))
  })
}

const load = () => {
  const most = 1.1 * Math.max(5, ...names.flatMap((name) => series.load[name]))
  return lines("load", narrow() ? 180 : 200, { range: () => [0, most] }, { space: 35 })
}

const breakers = () => ({
  of: "breakers",
  data: [edges, edges.map(() => null)],
  options: {
    height: series.strips.length * 38 + 30,
    padding: [4, 14, 0, 0],
    legend: { show: false },
    cursor,
    scales: { x, y: { range: () => [0, series.strips.length] } },
    axes: axes({
      grid: { show: false },
      splits: () => series.strips.map((_, index) => index + 0.5),
      values: () => series.strips.toReversed().map(({ name }) => narrow() ? name.replace(" ", "\n") : name),
      lineGap: 1.1
    }),
    series: [{}, {}],
    hooks: { draw: [strips], setCursor: [(u) => show(sliceAt(u))] }
  }
})

const what = (at) => {
  const parts = series.strips.flatMap(({ name, service, states }) => {
    const band = series.bands.find((band) => band.service === service && at >= band.from && at < band.until)
    const state = states.findLast(({ from }) => from <= at)?.state ?? "Closed"
    if (band === undefined && state === "Closed") return []
    const words = { Closed: "closed", HalfOpen: "half-open", Open: "open" }
    return [`${name} ${band === undefined ? "well again" : band.name}, breaker ${words[state]}`]
  })
  return parts.length === 0 ? "all is well" : parts.join("; ")
}

let shown = null
const show = (index) => {
  if (index === shown) return
  shown = index
  if (shown === null) {
    for (const [output, text] of resting) output.textContent = text
    readout.textContent = readout.dataset.resting
    return
  }
  for (const output of resting.keys()) {
    const value = series[output.dataset.of][output.dataset.gateway][shown]
    output.textContent = value === null ? "none" : units[output.dataset.of](value)
  }
  const text = `${middle(shown).toFixed(1)} s: ${what(middle(shown))}`
  slider.value = String(shown)
  slider.setAttribute("aria-valuetext", text)
  readout.textContent = text
}

const lead = () => {
  const index = Number(slider.value)
  for (const { plot } of plots) plot.setCursor({ left: plot.valToPos(middle(index), "x"), top: 5 })
  show(index)
}

const build = () => {
  for (const { plot } of plots) plot.destroy()
  const answered = lines("answered", narrow() ? 210 : 240, { range: () => [0, 104] }, {
    splits: () => [0, 25, 50, 75, 100],
    values: (_, splits) => splits.map((split) => `${split} %`)
  })
  plots = [answered, waits(), breakers(), load()].map(({ data, of, options }) => {
    const host = document.getElementById(`plot-${of}`)
    return { host, plot: new uPlot({ ...options, width: host.clientWidth }, data, host) }
  })
  if (document.activeElement === slider) lead()
}

slider.addEventListener("input", lead)
slider.addEventListener("focus", lead)
slider.addEventListener("blur", () => {
  for (const { plot } of plots) plot.setCursor({ left: -10, top: -10 })
  show(null)
})

build()
document.documentElement.dataset.drawn = "yes"
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", build)
let width = document.documentElement.clientWidth
addEventListener("resize", () => {
  // a phone's address bar changes the height alone, and nothing needs to be drawn for that
  if (document.documentElement.clientWidth === width) return
  width = document.documentElement.clientWidth
  requestAnimationFrame(build)
})
