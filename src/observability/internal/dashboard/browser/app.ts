/** The dashboard in the browser: what the stream tells is noted, and drawn with the next picture of the screen. */
import { drawDetails, toggle } from "./details.ts"
import { byId, inputById, write } from "./elements.ts"
import * as keys from "./keys.ts"
import { lookedFrom, sample, serverNow, type Service, services, take } from "./known.ts"
import { arrange, list } from "./order.ts"
import { drawRow, serviceAt, viewOf } from "./rows.ts"
import * as stream from "./stream.ts"
import { drawStrip, getPast, pastWords, setPast } from "./strip.ts"
import { drawSums } from "./sums.ts"

const { api = "" } = document.body.dataset

const draw = (): void => {
  let isNew = false
  for (const service of services.values()) {
    if (service.view === undefined) isNew = true
    if (service.isDirty) drawRow(service)
    if (service.details !== undefined) drawDetails(service, service.details)
  }
  if (isNew) arrange(true)
  drawSums(stream.live())
}

let isDrawing = false
const render = (): void => {
  if (isDrawing) return
  isDrawing = true
  const turn = () => {
    isDrawing = false
    draw()
  }
  // a page that nobody sees has no pictures, and is to be right when somebody looks
  if (document.hidden) setTimeout(turn)
  else requestAnimationFrame(turn)
}

const past = inputById("past")
/** As many minutes as are of use: what nobody has seen is not to fill the strip. */
const automatic = (): number => {
  const seen = serverNow() - lookedFrom()
  return seen < 60_000 ? 1 : seen < 300_000 ? 5 : 10
}
const stretch = (): void => {
  const minutes = past.value === "auto" ? automatic() : Number(past.value)
  if (getPast() !== minutes * 60_000) {
    setPast(minutes * 60_000)
    for (const { known, view } of services.values()) if (view !== undefined) drawStrip(view.strip, known)
    render()
  }
  write(byId("past-head"), `Last ${pastWords()}`)
}
past.addEventListener("change", stretch)

const turn = (service: Service): void => toggle(service, viewOf(service), api)

list.addEventListener("click", ({ target }) => {
  const row = target instanceof Element ? target.closest(".row") : null
  const service = row === null ? undefined : serviceAt(row)
  if (service !== undefined) turn(service)
})
keys.listen(turn)

// colours of plots are drawn in
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const service of services.values()) {
    if (service.details === undefined) continue
    turn(service)
    turn(service)
  }
})

stream.follow(`${api}/changes`, {
  onChange: render,
  onFrame: (frame) => {
    for (const { details, view } of take(frame)) {
      details?.plots.remove()
      view?.item.remove()
    }
    render()
    if (!frame.full) return
    stretch()
    arrange(true)
  }
})

let turns = 0
setInterval(() => {
  // without a server nothing goes on: what stands there is what was last known
  if (!stream.live()) return
  sample()
  turns++
  if (services.size > 0) stretch()
  for (const service of services.values()) {
    // what it says of itself counts the seconds, or is past
    if (service.known.openSince !== null || turns % 8 === 0) service.isDirty = true
    if (service.view === undefined) continue
    // a pixel of a strip is some seconds
    if (turns % 4 === 1 || service.known.openSince !== null) drawStrip(service.view.strip, service.known)
    service.details?.plots.draw()
  }
  render()
  arrange(false)
}, 1_000)
