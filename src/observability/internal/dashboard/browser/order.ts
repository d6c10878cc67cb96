/** Which rows are shown, in which order. */
import { byId, hide, inputById, write } from "./elements.ts"
import { type Service, services } from "./known.ts"
import { viewOf } from "./rows.ts"
import { lookOf, ranks } from "./words.ts"

export const list = byId("rows")
export const find = inputById("find")
const sort = inputById("sort")

const collator = new Intl.Collator(undefined, { numeric: true })
const byName = (a: Service, b: Service) => collator.compare(a.known.name, b.known.name)

/** The worse the higher; in steps, so that rows do not dance with every call. */
const trouble = ({ known, rates: { refused = 0, retries = 0, success = 1 } }: Service): number =>
  10 * ranks[lookOf(known).tone] + (success < 0.5 ? 4 : success < 0.99 ? 3 : 0) + (refused > 0.05 ? 2 : 0) +
  (retries > 0.05 ? 1 : 0)

const longerFirst = (a: Service, b: Service) => (a.known.openSince ?? Infinity) - (b.known.openSince ?? Infinity) || 0

const orders: { readonly [Name in string]: (a: Service, b: Service) => number } = {
  trouble: (a, b) => trouble(b) - trouble(a) || longerFirst(a, b) || byName(a, b),
  name: byName,
  rate: (a, b) => (b.rates.calls ?? -1) - (a.rates.calls ?? -1) || byName(a, b),
  p99: (a, b) => (b.known.latency?.p99 ?? -1) - (a.known.latency?.p99 ?? -1) || byName(a, b)
}

/** So long after somebody has last moved or typed in the list, it is not in use, in milliseconds. */
const pause = 5_000
let lastUse = -Infinity
for (const event of ["pointermove", "pointerdown", "keydown", "wheel"]) {
  list.addEventListener(event, () => (lastUse = performance.now()), { passive: true })
}

/** Whether rows may not move under somebody's hands; where a pointer only rests, what fails is to come up. */
const isInUse = (): boolean =>
  performance.now() - lastUse < pause || document.activeElement?.matches("#rows input, #rows select") === true

/** Puts the rows in order; not while they are in use, unless it is asked for. */
export const arrange = (isAsked: boolean): void => {
  const focused = document.activeElement
  if (!isAsked && isInUse()) return
  const sorted = [...services.values()].toSorted(orders[sort.value] ?? byName)
  let at = list.firstElementChild
  for (const service of sorted) {
    const { item } = viewOf(service)
    if (item === at) at = at.nextElementSibling
    else list.insertBefore(item, at)
  }
  // what is moved loses the focus
  if (focused instanceof HTMLElement && list.contains(focused)) focused.focus({ preventScroll: true })
  const wanted = find.value.trim().toLocaleLowerCase()
  let shown = 0
  for (const service of sorted) {
    const isShown = wanted === "" || service.known.name.toLocaleLowerCase().includes(wanted)
    hide(viewOf(service).item, !isShown)
    if (isShown) shown++
  }
  write(byId("shown"), shown === services.size ? "" : `${shown} of ${services.size} services`)
  hide(byId("empty"), shown > 0)
  write(
    byId("empty"),
    services.size === 0 ? "No services yet. Each appears with its pipeline." : "No service has this in its name."
  )
}

find.addEventListener("input", () => arrange(true))
sort.addEventListener("change", () => arrange(true))
byId("tools").addEventListener("submit", (event) => event.preventDefault())
