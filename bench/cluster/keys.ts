/** The keys of the rows: one for each hash slot, in an order as if by chance that is the same for all contestants. */
import { keySlot } from "effect-redis-client/RedisCluster"

const slots = 16_384

const oneForEachSlot = (): Array<string> => {
  const keys = new Array<string>(slots)
  for (let i = 0, found = 0; found < slots; i++) {
    const key = `bench:${i}`
    const slot = keySlot(key)
    if (keys[slot] === undefined) {
      keys[slot] = key
      found++
    }
  }
  return keys
}

/** By slot. */
export const keysBySlot: ReadonlyArray<string> = oneForEachSlot()

const shuffled = (list: ReadonlyArray<string>): ReadonlyArray<string> => {
  const all = [...list]
  let seed = 15
  for (let i = all.length - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    const j = Math.floor((seed / 2 ** 32) * (i + 1))
    const swapped = all[i] as string
    all[i] = all[j] as string
    all[j] = swapped
  }
  return all
}

export const keys: ReadonlyArray<string> = shuffled(keysBySlot)

/** A key at each call, or several. */
export const keySource = (): {
  readonly one: () => string
  readonly several: (count: number) => readonly [string, ...Array<string>]
} => {
  let at = 0
  const one = (): string => keys[at++ % slots] as string
  return {
    one,
    several: (count) => [one(), ...Array.from({ length: count - 1 }, one)]
  }
}
