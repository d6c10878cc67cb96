/** The page by keyboard: `/` searches, arrows go from row to row, Escape closes what is open. */
import type { Service } from "./known.ts"
import { find, list } from "./order.ts"
import { serviceAt } from "./rows.ts"

export const listen = (close: (service: Service) => void): void =>
  document.addEventListener("keydown", (event) => {
    const { key, target } = event
    if (!(target instanceof HTMLElement) || event.ctrlKey || event.metaKey || event.altKey) return
    if (key === "/" && !target.matches("input, select")) {
      event.preventDefault()
      find.focus()
    }
    if (key === "Escape") {
      const service = serviceAt(target)
      if (service?.details === undefined) return
      close(service)
      service.view?.button.focus()
    }
    if ((key === "ArrowDown" || key === "ArrowUp") && target.matches(".row, #find")) {
      event.preventDefault()
      const rows = [...list.querySelectorAll<HTMLElement>(":scope > li:not([hidden]) > .row")]
      const at = rows.indexOf(target) + (key === "ArrowDown" ? 1 : -1)
      if (at < 0) find.focus()
      else rows[at]?.focus()
    }
  })
