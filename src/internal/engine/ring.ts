/**
 * A queue over a ring of a power of two: no array is ever shifted, and an emptied place holds nothing.
 */
export class Ring<A> {
  private places: Array<A | undefined> = new Array(16)
  private head = 0
  private mask = 15
  length = 0

  push(value: A): void {
    if (this.length > this.mask) {
      this.grow()
    }
    this.places[(this.head + this.length) & this.mask] = value
    this.length++
  }

  peek(): A | undefined {
    return this.places[this.head]
  }

  shift(): A | undefined {
    if (this.length === 0) {
      return undefined
    }
    const value = this.places[this.head]
    this.places[this.head] = undefined
    this.head = (this.head + 1) & this.mask
    this.length--
    return value
  }

  /** The `index`th from the head. */
  at(index: number): A | undefined {
    return index < this.length ? this.places[(this.head + index) & this.mask] : undefined
  }

  private grow(): void {
    const places: Array<A | undefined> = new Array(this.places.length * 2)
    for (let i = 0; i < this.length; i++) {
      places[i] = this.places[(this.head + i) & this.mask]
    }
    this.places = places
    this.head = 0
    this.mask = places.length - 1
  }
}
