/**
 * The gateway after the first outage, as most teams leave it: each request has the usual timeout and is made up to three
 * times, at once, whatever it was and whatever the answer. A dead service costs a user three timeouts, and a service in
 * trouble gets three times the load.
 */
import { Effect } from "effect"
import { type Settings, usualTimeout } from "../Settings.ts"
import { type Call, gateway as unprotected } from "./unprotected.ts"

/** `watch` is told of every request. */
export const gateway = (settings: Settings, watch: Call) =>
  unprotected(
    settings,
    (service, request) =>
      Effect.retry(watch(service, Effect.timeout(request, settings.time(usualTimeout))), { times: 2 })
  )
