/**
 * A queue over a ring of a power of two: no array is ever shifted, and an emptied slot holds on to nothing.
 */
export class Ring<A> {
  private slots: Array<A | undefined> = new Array(16)
  private head = 0
  private mask = 15
  length = 0

  push(value: A): void {
    if (this.length > this.mask) {
      this.grow()
    }
    this.slots[(this.head + this.length) & this.mask] = value
    this.length++
  }

  peek(): A | undefined {
    return this.slots[this.head]
  }

  shift(): A | undefined {
    if (this.length === 0) {
      return undefined
    }
    const value = this.slots[this.head]
    this.slots[this.head] = undefined
    this.head = (this.head + 1) & this.mask
    this.length--
    return value
  }

  /** The `index`th from the head. */
  at(index: number): A | undefined {
    return index < this.length ? this.slots[(this.head + index) & this.mask] : undefined
  }

  private grow(): void {
    const slots: Array<A | undefined> = new Array(this.slots.length * 2)
    for (let i = 0; i < this.length; i++) {
      slots[i] = this.slots[(this.head + i) & this.mask]
    }
    this.slots = slots
    this.head = 0
    this.mask = slots.length - 1
  }
}
