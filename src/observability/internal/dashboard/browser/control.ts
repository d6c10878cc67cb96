/** Control by hand of the breakers of one service. */
import type { Action } from "../../../StatusApi.ts"
import { make } from "./elements.ts"
import type { Service } from "./known.ts"
import { authorization, isToken, tokens } from "./tokens.ts"

const actions: ReadonlyArray<readonly [Exclude<Action["action"], "reconfigure">, word: string]> = [
  ["forceOpen", "Force open"],
  ["forceClosed", "Force closed"],
  ["disable", "Disable"],
  ["release", "Release"],
  ["reset", "Reset"]
]

export const breakerWords = ({ key, name }: { readonly key: string | null; readonly name: string }): string =>
  key === null ? name : `${name} ${JSON.stringify(key)}`

/** What a problem says, if it is one. */
const detailOf = (body: unknown): string | undefined => {
  if (typeof body !== "object" || body === null) return undefined
  if ("detail" in body && typeof body.detail === "string") return body.detail
  return "title" in body && typeof body.title === "string" ? body.title : undefined
}

const send = async (url: string, body: Action): Promise<string | undefined> => {
  if (!isToken(tokens.control)) return "type your token first"
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...authorization(tokens.control) },
      body: JSON.stringify(body)
    })
    if (response.ok) return undefined
    if (response.status === 401) return "the server does not know this token"
    return detailOf(await response.json().catch(() => undefined)) ?? `the server answers ${response.status}`
  } catch {
    return "the server cannot be reached"
  }
}

export const makeControl = (service: Service, url: string): HTMLElement => {
  /** What the options stand for: those of a moment ago, which is what somebody has chosen from. */
  let choices = service.known.breakers
  const which = make("select")
  const fill = () => {
    const chosen = choices[which.selectedIndex]
    choices = service.known.breakers
    which.replaceChildren(...choices.map((breaker) => make("option", "", breakerWords(breaker))))
    which.selectedIndex = Math.max(0, choices.findIndex(({ key, name }) => key === chosen?.key && name === chosen.name))
  }
  fill()
  which.addEventListener("focus", fill)
  const secret = make("input")
  secret.type = "password"
  secret.autocomplete = "off"
  secret.value = tokens.control === "" ? tokens.read : tokens.control
  tokens.control = secret.value
  secret.addEventListener("input", () => {
    tokens.control = secret.value.trim()
  })
  const answer = make("output", "note")
  const buttons = actions.map(([action, word]) => {
    const button = make("button", "act", word)
    button.type = "button"
    button.addEventListener("click", async () => {
      const breaker = choices[which.selectedIndex]
      if (breaker === undefined) return
      answer.value = ""
      const { key, name } = breaker
      const problem = await send(url, { action, breaker: name, ...(key !== null && { key }) })
      answer.value = problem === undefined ? `Done: ${word.toLowerCase()}.` : `Not done: ${problem}.`
    })
    return button
  })
  const form = make(
    "form",
    "by-hand",
    make("label", "", "Breaker", which),
    make("label", "", "Token", secret),
    ...buttons,
    answer
  )
  form.addEventListener("submit", (event) => event.preventDefault())
  return make("details", "", make("summary", "", "Control by hand"), form)
}
