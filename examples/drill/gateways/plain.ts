/** The plain gateway: one request, and the timeout that everybody writes first. */
import { Effect } from "effect"
import { type Settings, usualTimeout } from "../Settings.ts"
import { type Call, gateway as unprotected } from "./unprotected.ts"

/** `watch` is told of every request. */
export const gateway = (settings: Settings, watch: Call) =>
  unprotected(settings, (service, request) => watch(service, Effect.timeout(request, settings.time(usualTimeout))))
