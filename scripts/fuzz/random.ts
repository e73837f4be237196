/** Random decisions that a seed repeats: sfc32, one generator for each round, made from the run's seed and its number. */

export interface Random {
  /** From 0 up to 1. */
  readonly next: () => number
  /** A whole number from 0 up to `below`. */
  readonly below: (below: number) => number
  /** A whole number from `from` to `to`, both included. */
  readonly between: (from: number, to: number) => number
  readonly chance: (probability: number) => boolean
  readonly pick: <A>(from: ReadonlyArray<A>) => A
  /** One of these by weight. */
  readonly weighted: <A>(from: ReadonlyArray<readonly [weight: number, A]>) => A
  /** A generator of its own, which depends on nothing that is drawn from this one later. */
  readonly fork: () => Random
}

export const make = (seed: number, stream = 0): Random => {
  let a = seed | 0
  let b = stream | 0
  let c = 0x9e3779b9 | 0
  let d = 1
  const word = (): number => {
    const t = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + t
    c |= 0
    return t >>> 0
  }
  // The first words still show the seed.
  for (let i = 0; i < 12; i++) {
    word()
  }
  const next = (): number => word() / 2 ** 32
  const below = (limit: number): number => Math.floor(next() * limit)
  return {
    next,
    below,
    between: (from, to) => from + below(to - from + 1),
    chance: (probability) => next() < probability,
    pick: <A>(from: ReadonlyArray<A>): A => from[below(from.length)] as A,
    weighted: <A>(from: ReadonlyArray<readonly [number, A]>): A => {
      let left = next() * from.reduce((sum, [weight]) => sum + weight, 0)
      for (const [weight, value] of from) {
        left -= weight
        if (left < 0) {
          return value
        }
      }
      return (from.at(-1) as readonly [number, A])[1]
    },
    fork: () => make(word(), word())
  }
}

/** A seed from the command line or the environment, or else a random one. */
export const seedFrom = (given: string | undefined): number =>
  Number(given ?? Math.floor(Math.random() * 2 ** 32)) >>> 0
