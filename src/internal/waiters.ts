/**
 * Lists of those who wait. Joining, leaving and serving cost the same however
 * many there are.
 */

/** What can be in one list at a time. */
export class Link<N extends Link<N>> {
  previous: N | undefined = undefined
  next: N | undefined = undefined
}

export class List<N extends Link<N>> {
  first: N | undefined = undefined
  last: N | undefined = undefined

  push(node: N): void {
    node.previous = this.last
    if (this.last === undefined) this.first = node
    else this.last.next = node
    this.last = node
  }

  /** Takes out a node that is in this list. */
  remove(node: N): void {
    if (node.previous === undefined) this.first = node.next
    else node.previous.next = node.next
    if (node.next === undefined) this.last = node.previous
    else node.next.previous = node.previous
    node.previous = node.next = undefined
  }

  shift(): N | undefined {
    const { first } = this
    if (first !== undefined) this.remove(first)
    return first
  }
}

/** Those of one key, in order of arrival. It is in the ring of its line while somebody is in it. */
class Group<N extends Link<N>> extends Link<Group<N>> {
  readonly key: string | undefined
  readonly members = new List<N>()

  constructor(key: string | undefined) {
    super()
    this.key = key
  }
}

/**
 * A line that is fair by key: the keys take turns, and within a key it is first
 * come first served. Those without a key are one group. A key that nobody waits
 * under takes no room.
 */
export class Line<N extends Link<N>> {
  private readonly groups = new Map<string | undefined, Group<N>>()
  // the one whose turn it is comes first
  private readonly ring = new List<Group<N>>()

  get last(): N | undefined {
    return this.ring.last?.members.last
  }

  push(node: N, key: string | undefined): void {
    let group = this.groups.get(key)
    if (group === undefined) {
      group = new Group(key)
      this.groups.set(key, group)
      this.ring.push(group)
    }
    group.members.push(node)
  }

  /** Takes out a node that is in this line under that key. */
  remove(node: N, key: string | undefined): void {
    const group = this.groups.get(key)
    if (group === undefined) return
    group.members.remove(node)
    if (group.members.first === undefined) this.drop(group)
  }

  /** Takes out whose turn it is. */
  shift(): N | undefined {
    const group = this.ring.first
    if (group === undefined) return undefined
    const node = group.members.shift()
    if (group.members.first === undefined) this.drop(group)
    else if (group !== this.ring.last) {
      this.ring.remove(group)
      this.ring.push(group)
    }
    return node
  }

  private drop(group: Group<N>): void {
    this.ring.remove(group)
    this.groups.delete(group.key)
  }
}
