/** Reads Prometheus' text format as strictly as Prometheus does. */

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Scraped {
  readonly types: ReadonlyMap<string, string>
  readonly samples: ReadonlyArray<Sample>
}

const unescape = (text: string): string => text.replace(/\\(.)/g, (_, letter: string) => letter === "n" ? "\n" : letter)

const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"/y

const parseLabels = (text: string): Record<string, string> => {
  const labels: Record<string, string> = {}
  label.lastIndex = 0
  while (label.lastIndex < text.length) {
    const at = label.lastIndex
    const found = label.exec(text)
    if (found === null) throw new Error(`no label at ${at} of ${text}`)
    labels[found[1] ?? ""] = unescape(found[2] ?? "")
    if (text[label.lastIndex] === ",") label.lastIndex++
  }
  return labels
}

const parseValue = (text: string): number => {
  if (text === "+Inf") return Infinity
  const value = Number(text)
  if (text === "" || Number.isNaN(value)) throw new Error(`no value: ${text}`)
  return value
}

export const parsePrometheus = (text: string): Scraped => {
  const types = new Map<string, string>()
  const samples: Array<Sample> = []
  if (!text.endsWith("\n")) throw new Error("the last line must end")
  for (const line of text.split("\n").slice(0, -1)) {
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line)
    if (type !== null) {
      if (types.has(type[1] ?? "")) throw new Error(`two types: ${line}`)
      types.set(type[1] ?? "", type[2] ?? "")
    } else if (!line.startsWith("# HELP ")) {
      // a label value may hold braces, so the last one ends the labels
      const [, name, labels = "", value = ""] = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s.exec(line) ?? []
      if (name === undefined) throw new Error(`no sample: ${line}`)
      samples.push({ name, labels: parseLabels(labels), value: parseValue(value) })
    }
  }
  return { types, samples }
}

/** The value of the one sample with exactly these labels. */
export const sample = (
  { samples }: Scraped,
  name: string,
  labels: Readonly<Record<string, string>>
): number | undefined => {
  const found = samples.filter((sample) =>
    sample.name === name && Object.keys(sample.labels).length === Object.keys(labels).length &&
    Object.entries(labels).every(([key, value]) => sample.labels[key] === value)
  )
  if (found.length > 1) throw new Error(`${name} ${JSON.stringify(labels)} is there twice`)
  return found[0]?.value
}
