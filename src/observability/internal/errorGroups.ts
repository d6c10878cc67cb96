/** Errors by fingerprint. */
import { errorKind } from "../../internal/errorKind.ts"
import type { Report } from "../ErrorReports.ts"
import { type Frame, framesOf } from "./stackFrames.ts"
import { clean, messageOf, other } from "./text.ts"

/** How many operations of a pipeline have groups of their own. */
const maxOperations = 100

/** How many pipelines, and kinds of errors within an interval, are told apart; who tells of them may be anybody. */
const maxNames = 10_000

/** Reading a stack makes the engine write it down, so no more are read within an interval of one kind of error. */
const maxStacks = 20

interface Group {
  readonly id: string
  readonly pipeline: string
  readonly operation: string
  readonly kind: string
  readonly frames: ReadonlyArray<Frame>
  message: string | undefined
  count: number
  reported: number
  readonly firstSeen: number
  lastSeen: number
}

interface Failed {
  readonly at: number
  readonly pipeline: string
  readonly operation: string
  readonly reason?: unknown
}

/** 16 hexadecimal digits: two hashes of 32 bits (FNV-1a). */
const fingerprint = (text: string): string =>
  [0x811c9dc5, 0x9747b28c].map((seed) => {
    let hash = seed
    for (let n = 0; n < text.length; n++) hash = Math.imul(hash ^ text.charCodeAt(n), 0x01000193)
    return (hash >>> 0).toString(16).padStart(8, "0")
  }).join("")

export class ErrorGroups {
  private readonly most: number
  private readonly reports: number
  private readonly messages: boolean
  private readonly report: (report: Report) => void
  /** The one seen last comes last. */
  private readonly groups = new Map<string, Group>()
  private readonly operations = new Map<string, Set<string>>()
  /** Of errors of one kind, in the present interval: how many stacks were read, and the group of the last. */
  private stacks = new Map<string, { read: number; last: string }>()
  private left: number

  constructor(options: {
    readonly most: number
    readonly reports: number
    readonly messages: boolean
    readonly report: (report: Report) => void
  }) {
    this.most = options.most
    this.reports = options.reports
    this.messages = options.messages
    this.report = options.report
    this.left = options.reports
  }

  get all(): ReadonlyArray<Report> {
    return [...this.groups.values()].toReversed().map((group) => this.reportOf(group))
  }

  add(failed: Failed): void {
    const group = this.groupOf(failed)
    group.count++
    group.lastSeen = failed.at
    this.groups.delete(group.id)
    this.groups.set(group.id, group)
    if (this.groups.size > this.most) {
      const [oldest] = this.groups.keys()
      if (oldest !== undefined) this.groups.delete(oldest)
    }
    if (group.reported === 0) this.tell(group)
  }

  /** Reports what was seen since the last report, as far as it may. */
  endInterval(): void {
    this.left = this.reports
    this.stacks.clear()
    for (const group of this.groups.values()) {
      if (group.count > group.reported) this.tell(group)
    }
  }

  private groupOf({ at, operation: called, pipeline, reason }: Failed): Group {
    const operation = this.operationOf(pipeline, called)
    const kind = errorKind(reason)
    const alike = JSON.stringify([kind, pipeline, operation])
    const stacks = this.stacks.get(alike)
    if (stacks !== undefined && stacks.read >= maxStacks) {
      const last = this.groups.get(stacks.last)
      if (last !== undefined) return last
    }
    const frames = framesOf(reason)
    const id = fingerprint(JSON.stringify([alike, frames.map(({ place }) => place)]))
    if (stacks === undefined) {
      if (this.stacks.size >= maxNames) this.stacks.clear()
      this.stacks.set(alike, { read: 1, last: id })
    } else {
      stacks.read++
      stacks.last = id
    }
    const full = this.messages ? messageOf(reason) : undefined
    const message = full === undefined ? undefined : clean(full, 500)
    const group = this.groups.get(id)
    if (group === undefined) {
      return { id, pipeline, operation, kind, frames, message, count: 0, reported: 0, firstSeen: at, lastSeen: at }
    }
    group.message = message ?? group.message
    return group
  }

  private operationOf(pipeline: string, operation: string): string {
    let seen = this.operations.get(pipeline)
    if (seen === undefined) {
      if (this.operations.size >= maxNames) return other
      this.operations.set(pipeline, seen = new Set())
    }
    if (seen.has(operation)) return operation
    if (seen.size >= maxOperations) return other
    seen.add(operation)
    return operation
  }

  private tell(group: Group): void {
    if (this.left === 0) return
    this.left--
    const report = this.reportOf(group)
    group.reported = group.count
    this.report(report)
  }

  private reportOf(group: Group): Report {
    const { count, firstSeen, frames, id, kind, lastSeen, message, operation, pipeline, reported } = group
    const where = `${clean(pipeline)}${operation === "" ? "" : ` ${clean(operation)}`}`
    const [first] = frames
    const at = first === undefined ? "" : ` at ${first.exact}`
    const said = message === undefined ? "" : `: ${message}`
    const often = reported === 0 ? count === 1 ? "" : `, ${count} times` : `, ${count - reported} more, ${count} in all`
    return {
      _tag: "ErrorReport",
      id,
      pipeline,
      ...(operation === "" ? {} : { operation }),
      kind,
      level: "Error",
      frames: frames.map(({ exact }) => exact),
      count,
      since: count - reported,
      firstSeen,
      lastSeen,
      ...(message === undefined ? {} : { message }),
      text: `${where}: ${clean(kind)}${said}${at}${often}`
    }
  }
}
