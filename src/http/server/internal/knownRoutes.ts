/** The methods that a path can be asked for with, which the router knows and does not tell. */
import * as Effect from "effect/Effect"
import * as FindMyWay from "effect/http/FindMyWay"
import type * as HttpMethod from "effect/http/HttpMethod"
import * as HttpRouter from "effect/http/HttpRouter"
import { guarded } from "../../../internal/guarded.ts"

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"] as const

const isPath = (path: string): path is HttpRouter.PathInput => path === "*" || path.startsWith("/")

export class KnownRoutes {
  private readonly router: FindMyWay.Router<true>

  constructor(config: Partial<FindMyWay.RouterConfig>) {
    this.router = FindMyWay.make(config)
  }

  private note(method: HttpMethod.HttpMethod | "*", path: string): void {
    const paths = path.endsWith("/*") ? [path, path.slice(0, -2)] : [path]
    for (const path of paths.filter(isPath)) {
      // what the router itself refuses is its own affair
      guarded(() => method === "*" ? this.router.all(path, true) : this.router.on(method, path, true))
    }
  }

  /** A router that is `router`, and notes what is added to it. */
  noting(router: HttpRouter.HttpRouter, prefix?: string): HttpRouter.HttpRouter {
    const at = (path: string) => prefix === undefined ? path : HttpRouter.prefixPath(path, prefix)
    return {
      ...router,
      prefixed: (further) =>
        this.noting(router.prefixed(further), prefix === undefined ? further : HttpRouter.prefixPath(further, prefix)),
      add: (method, path, handler, options) =>
        Effect.suspend(() => {
          this.note(method, at(path))
          return router.add(method, path, handler, options)
        }),
      addAll: (routes) =>
        Effect.suspend(() => {
          for (const { method, path } of routes) this.note(method, at(path))
          return router.addAll(routes)
        })
    }
  }

  /** The methods that there are routes for. `GET` answers `HEAD`, too. */
  methods(url: string): ReadonlyArray<string> {
    const known = methods.filter((method) => guarded(() => this.router.find(method, url)) !== undefined)
    return known.includes("GET") && !known.includes("HEAD") ? ["GET", "HEAD", ...known.slice(1)] : known
  }
}
