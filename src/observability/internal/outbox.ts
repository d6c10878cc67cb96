/** What waits for one handler: a bounded number of notifications, in order. */
import type { Notification } from "../Notify.ts"

const stateOf = (notification: Notification): unknown => "state" in notification ? notification.state : undefined

const isEnd = (notification: Notification): boolean => stateOf(notification) === "recovered"

/**
 * Where too many wait, the oldest is lost, and with the beginning of an episode its
 * end: nobody is told of the end of what he was not told of. An end of what he was
 * told of is kept; there are no more of these than there are episodes.
 */
export class Outbox<N extends Notification> {
  private readonly capacity: number
  private readonly waiting: Array<N> = []
  /** Of episodes that go on: those whose beginning was lost. */
  private readonly untold = new Set<string>()
  private lost = 0

  constructor(capacity: number) {
    this.capacity = capacity
  }

  offer(notification: N): void {
    if (isEnd(notification) && this.untold.delete(notification.id)) return
    this.waiting.push(notification)
    if (this.waiting.length > this.capacity) this.loseOne()
  }

  take(): N | undefined {
    return this.waiting.shift()
  }

  /** How many were lost since this was last asked; an episode is one. */
  takeLost(): number {
    const { lost } = this
    this.lost = 0
    return lost
  }

  private loseOne(): void {
    const at = this.waiting.findIndex((notification) => !isEnd(notification))
    const [gone] = at === -1 ? [] : this.waiting.splice(at, 1)
    if (gone === undefined) return
    this.lost++
    if (stateOf(gone) !== "raised") return
    const end = this.waiting.findIndex((notification) => notification.id === gone.id)
    if (end === -1) this.untold.add(gone.id)
    else this.waiting.splice(end, 1)
  }
}
