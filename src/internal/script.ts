/** What a test has in store, by name: one item is taken at a time, until there is none left. */
export const script = <A>(
  items: Readonly<Record<string, ReadonlyArray<A>>> | undefined
): (name: string) => A | undefined => {
  const left = new Map(Object.entries(items ?? {}).map(([name, list]) => [name, [...list]]))
  return (name) => left.get(name)?.shift()
}
