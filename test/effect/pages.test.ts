import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { paginate, readAhead, repeat } from "../../src/internal/effect/pages.js"

/** Pages as a server gives them: with MATCH most pages of a SCAN are empty. In Effect 4 a Stream must never emit an empty array. */
const pages: ReadonlyArray<ReadonlyArray<number>> = [[], [], [1, 2], [], [3], []]

const paginated = paginate(0, (page: number) =>
  Effect.succeed([pages[page] ?? [], page + 1 < pages.length ? Option.some(page + 1) : Option.none()] as const)
)

/** The same pages by `repeat`, which ends with `None`. */
const repeated = Stream.suspend(() => {
  let page = 0
  return repeat<number, never, never>(
    Effect.suspend(() => (page < pages.length ? Effect.succeed(pages[page++] ?? []) : Effect.fail(Option.none())))
  )
})

describe("a Stream of pages", () => {
  for (const [name, stream] of [
    ["paginate", paginated],
    ["repeat", repeated],
    ["readAhead", readAhead(paginated, 2)]
  ] as const) {
    it.effect(`${name}: a page without elements is not an element`, () =>
      Effect.gen(function* () {
        expect(Chunk.toReadonlyArray(yield* Stream.runCollect(stream))).toEqual([1, 2, 3])
        expect(yield* Stream.runHead(stream)).toEqual(Option.some(1))
        expect(yield* Stream.runLast(stream)).toEqual(Option.some(3))
        expect(Chunk.toReadonlyArray(yield* Stream.runCollect(Stream.take(stream, 2)))).toEqual([1, 2])
      })
    )
  }

  it.effect("repeat: fails with the failure of its Effect, after the elements before", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      let turn = 0
      const stream = repeat<number, string, never>(
        Effect.suspend(() => (turn++ === 0 ? Effect.succeed([1, 2]) : Effect.fail(Option.some("lost"))))
      )
      const error = yield* Effect.flip(Stream.runForEach(stream, (n) => Effect.sync(() => void seen.push(n))))
      expect([seen, error]).toEqual([[1, 2], "lost"])
    })
  )
})
