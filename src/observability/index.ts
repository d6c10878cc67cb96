/**
 * Seeing what the policies do: who is down and since when, log lines, metrics,
 * alerts, error reports.
 *
 * Everything is read through `Resilience`, and costs nothing where it is not
 * installed.
 *
 * @since 0.1.0
 */

export * as Alerts from "./Alerts.ts"

export * as Dashboard from "./Dashboard.ts"

export * as ErrorReports from "./ErrorReports.ts"

export * as LogLines from "./LogLines.ts"

export * as Metrics from "./Metrics.ts"

export * as Notify from "./Notify.ts"

export * as Observability from "./Observability.ts"

export * as Recoveries from "./Recoveries.ts"

export * as Status from "./Status.ts"

export * as StatusApi from "./StatusApi.ts"

export * as StatusServer from "./StatusServer.ts"
