/** `T`, from which nothing is inferred. `NoInfer` would stay in the types that are computed from it. */
export type Fixed<T> = [T][T extends unknown ? 0 : never]
