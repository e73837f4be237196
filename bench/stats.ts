import type { Round } from "./work.js"

export const median = (numbers: ReadonlyArray<number>): number => {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length === 0
    ? Number.NaN
    : sorted.length % 2 === 1
      ? (sorted[middle] as number)
      : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

/** Half of the distance between the quartiles, relative to the median: how far a round usually is from it. */
export const spread = (numbers: ReadonlyArray<number>): number => {
  const sorted = [...numbers].sort((a, b) => a - b)
  const at = (q: number) => sorted[Math.round((sorted.length - 1) * q)] as number
  return (at(0.75) - at(0.25)) / 2 / median(numbers)
}

export const perSecond = (round: Round): number => (round.operations * 1000) / round.millis

export const cpuMicros = (round: Round): number => (round.cpuMillis * 1000) / round.operations

/** The median of what one did in each round over what the other did in the same. */
export const ratio = (
  ours: ReadonlyArray<Round>,
  theirs: ReadonlyArray<Round>,
  of: (round: Round) => number
): number => {
  const ratios: Array<number> = []
  for (let i = 0; i < Math.min(ours.length, theirs.length); i++) {
    ratios.push(of(ours[i] as Round) / of(theirs[i] as Round))
  }
  return median(ratios)
}
