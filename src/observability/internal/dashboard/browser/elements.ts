/** Making and changing what stands in the page. What others have chosen gets in as text alone, never as markup. */

/** What the page is made with: it is there, since the page and this script come from one server. */
export const byId = (id: string): HTMLElement => {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`the page has no ${id}`)
  return element
}

export const inputById = (id: string): HTMLInputElement | HTMLSelectElement => {
  const element = byId(id)
  if (element instanceof HTMLInputElement || element instanceof HTMLSelectElement) return element
  throw new Error(`${id} is no field`)
}

export const make = <Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  className = "",
  ...children: ReadonlyArray<Node | string>
): HTMLElementTagNameMap[Tag] => {
  const element = document.createElement(tag)
  if (className !== "") element.className = className
  element.append(...children)
  return element
}

const written = new WeakMap<Element, string>()

/** Writes only what is new: most of what a frame brings is what stands there. */
export const write = (element: Element, text: string): void => {
  if (written.get(element) === text) return
  written.set(element, text)
  element.textContent = text
}

/** Sets a `data-` attribute, where it is new. */
export const mark = (element: HTMLElement, name: string, value: string): void => {
  if (element.dataset[name] !== value) element.dataset[name] = value
}

export const hide = (element: HTMLElement, isHidden: boolean): void => {
  if (element.hidden !== isHidden) element.hidden = isHidden
}
