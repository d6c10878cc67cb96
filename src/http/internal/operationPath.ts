/** Where an operation stands in a client: by group and endpoint, those of top-level groups at the root. */

export type OperationPath = readonly [group: string, endpoint: string] | readonly [endpoint: string]

export const pathOf = (
  group: { readonly identifier: string; readonly topLevel: boolean },
  endpoint: { readonly identifier: string }
): OperationPath => group.topLevel ? [endpoint.identifier] : [group.identifier, endpoint.identifier]

// an endpoint may be called anything, `__proto__` too
export const own = (object: unknown, key: string): unknown =>
  Object.hasOwn(Object(object), key) ? Object(object)[key] : undefined

const define = (object: object, key: string, value: unknown): void => {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true })
}

/** An object with a value at each of the paths. */
export const byPath = (values: Iterable<readonly [path: OperationPath, value: unknown]>): object => {
  const root = {}
  for (const [[first, second], value] of values) {
    const group = second === undefined ? root : own(root, first) ?? {}
    define(Object(group), second ?? first, value)
    if (second !== undefined) define(root, first, group)
  }
  return root
}
