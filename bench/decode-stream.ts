/**
 * What it would cost to run a connection's bytes through `Resp.decode` (a Stream) instead of handing them to the parser
 * in the socket's data listener: `npx tsx bench/decode-stream.ts`. Design section 4 allows 5 % at concurrency 1; the
 * decision is in docs/decisions.
 *
 * Both sides parse the same chunks with the same parser. The rounds alternate, and the best of each side counts: other
 * work on the machine only ever makes a round slower.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { defaultLimits, Parser } from "../src/internal/resp/parser.js"
import * as Resp from "../src/Resp.js"

const rounds = 15

const direct = (chunks: ReadonlyArray<Uint8Array>): number => {
  let seen = 0
  const count = (): void => {
    seen++
  }
  const parser = new Parser({ onReply: count, onPush: count, onAttribute: count }, defaultLimits, {
    text: true,
    pushText: true
  })
  for (const chunk of chunks) {
    parser.write(chunk)
  }
  return seen
}

/** Each chunk by itself, as a socket gives them. */
const through = (chunks: ReadonlyArray<Uint8Array>): Promise<number> =>
  Effect.runPromise(Stream.fromIterable(chunks).pipe(Stream.rechunk(1), Resp.decode({ bulk: "text" }), Stream.runCount))

const compare = async (name: string, reply: string, count: number, repliesPerChunk: number): Promise<void> => {
  const chunk = new TextEncoder().encode(reply.repeat(repliesPerChunk))
  const chunks = Array.from({ length: Math.ceil(count / repliesPerChunk) }, () => chunk)
  const best = { direct: Infinity, through: Infinity }
  for (let i = 0; i < rounds; i++) {
    const start = performance.now()
    const first = direct(chunks)
    const middle = performance.now()
    const second = await through(chunks)
    best.direct = Math.min(best.direct, middle - start)
    best.through = Math.min(best.through, performance.now() - middle)
    if (first !== second) {
      throw new Error(`${name}: ${first} replies from the parser, ${second} through the Stream`)
    }
  }
  const perChunk = (millis: number): string => `${((millis * 1000) / chunks.length).toFixed(2)} µs`
  console.log(
    `${name.padEnd(32)} parser ${perChunk(best.direct).padStart(11)}   Stream ${perChunk(best.through).padStart(11)}` +
      `   ×${(best.through / best.direct).toFixed(2)}   +${perChunk(best.through - best.direct)}`
  )
}

const value = "$3\r\nbar\r\n"

console.log("per chunk:")
// A caller that waits for each reply: concurrency 1.
await compare("1 reply of 3 bytes", value, 20_000, 1)
await compare("16 replies of 3 bytes", value, 160_000, 16)
await compare("64 KB of replies of 3 bytes", value, 500_000, Math.floor(65_536 / value.length))
await compare("64 KB of replies of 1 KB", `$1024\r\n${"x".repeat(1024)}\r\n`, 40_000, 63)
