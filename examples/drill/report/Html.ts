/** HTML in which every text that is put in is escaped. */

/** HTML that is right already. Only `markup` and `trusted` make it. */
export class Html {
  readonly #text: string
  constructor(text: string) {
    this.#text = text
  }
  toString(): string {
    return this.#text
  }
}

type Part = string | number | Html | ReadonlyArray<Html>

/** A template of HTML: what is interpolated is escaped, in text and in quoted attributes, unless it is Html itself. */
export const markup = (strings: TemplateStringsArray, ...parts: ReadonlyArray<Part>): Html =>
  new Html(strings.reduce((text, string, index) => `${text}${rendered(parts[index - 1] ?? "")}${string}`))

/** For text of this project that is to stand in the page as it is: never for what comes from elsewhere. */
export const trusted = (text: string): Html => new Html(text)

/** A value for a `<script type="application/json">`: nothing in it can end the element or begin a comment. */
export const json = (value: unknown): Html =>
  new Html(JSON.stringify(value).replaceAll("<", "\\u003c").replaceAll(">", "\\u003e").replaceAll("&", "\\u0026"))

const rendered = (part: Part): string =>
  part instanceof Html ? part.toString() : typeof part === "object" ? part.join("") : escape(String(part))

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&#39;"
}

const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => escapes[character] ?? "")
