/** Random and changed bytes against the parser: no throw, no endless work, no memory, the same in every split. */
import { defaultLimits, ParseFailure, Parser, type ParserLimits } from "../../src/internal/resp/parser.js"
import { bytesOf, hostile, parts, sample, show, showPush } from "./bytes.js"
import type { Random } from "./random.js"

const tightLimits: ParserLimits = {
  maxBulkLength: 65_536,
  maxAggregateLength: 4_096,
  maxDepth: 32,
  maxBufferedBytes: 262_144
}

/** Nearly those of a connection that was told nothing: a length that is announced is memory at once, as much as is allowed. */
const wideLimits: ParserLimits = { ...defaultLimits, maxBulkLength: 16 * 1024 * 1024 }

/** The result of a parse: the values that were handed over, in order, and why it ended. */
const outcome = (chunks: ReadonlyArray<Uint8Array>, limits: ParserLimits, text: boolean): ReadonlyArray<string> => {
  const seen: Array<string> = []
  const parser = new Parser(
    {
      onReply: (reply) => seen.push(show(reply)),
      onPush: (push) => seen.push(showPush(push)),
      onAttribute: (attribute) => seen.push(showPush(attribute))
    },
    limits,
    { text, pushText: text }
  )
  for (const chunk of chunks) {
    const failure = parser.write(chunk)
    if (failure !== undefined) {
      const before = seen.length
      if (!(failure instanceof ParseFailure) || failure.reason === "") {
        seen.push(withoutReason)
      }
      if (parser.write(bytesOf("+OK\r\n")) !== failure || seen.length !== before) {
        seen.push(wentOn)
      }
      seen.push(`failure: ${failure.reason}`)
      break
    }
  }
  return seen
}

const withoutReason = "a failure without a reason"
const wentOn = "it went on after its failure"

export interface StreamTally {
  streams: number
  /** Of these: as they should be and read as they should be; refused; neither, since their end did not come. */
  right: number
  refused: number
  unfinished: number
  bytes: number
  slowest: number
  /** How much more memory there was than at the beginning, in bytes. */
  grown: number
  readonly problems: Array<string>
}

export const emptyStreams = (): StreamTally => ({
  streams: 0,
  right: 0,
  refused: 0,
  unfinished: 0,
  bytes: 0,
  slowest: 0,
  grown: 0,
  problems: []
})

const used = (): number => {
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** So many streams, or as many as the time allows. */
export const run = (random: Random, count: number, millis: number, tally: StreamTally): void => {
  const started = performance.now()
  const before = used()
  for (let i = 0; i < count; i++) {
    if (i % 1_000 === 0) {
      tally.grown = Math.max(tally.grown, used() - before)
      if (performance.now() - started > millis) {
        return
      }
    }
    const good = random.chance(0.1)
    const { sent, shown } = good ? sample(random) : { sent: hostile(random), shown: "" }
    const bytes = bytesOf(sent)
    const text = random.chance(0.5)
    const limits = random.chance(0.01) ? wideLimits : tightLimits
    const began = performance.now()
    let whole: ReadonlyArray<string> = []
    try {
      whole = outcome([bytes], limits, text)
      const split = outcome(parts(random, bytes), limits, text)
      if (split.join(" ") !== whole.join(" ")) {
        tally.problems.push(`read in another way when split: ${JSON.stringify(sent)}: ${whole} / ${split}`)
      }
    } catch (error) {
      tally.problems.push(`threw at ${JSON.stringify(sent)}: ${error instanceof Error ? error.stack : String(error)}`)
    }
    const took = performance.now() - began
    tally.slowest = Math.max(tally.slowest, took)
    tally.streams++
    tally.bytes += bytes.length
    if (whole.at(-1)?.startsWith("failure: ") === true) {
      tally.refused++
    } else if (good) {
      tally.right++
    } else {
      tally.unfinished++
    }
    // Pushes and attributes, which are set aside, were handed over before the value.
    if (good && whole.at(-1) !== shown) {
      tally.problems.push(`${JSON.stringify(sent)} should be ${shown} and was ${whole}`)
    }
    if (whole.includes(withoutReason) || whole.includes(wentOn)) {
      tally.problems.push(`${JSON.stringify(sent)}: ${whole}`)
    }
  }
  tally.grown = Math.max(tally.grown, used() - before)
}

/** Streams that never end, by the part that a parser would have to keep. */
export const endless: ReadonlyArray<{
  readonly name: string
  readonly begin: string
  readonly more: string
  /** Whether a server may send this without end, because the parser keeps nothing of it. */
  readonly harmless?: boolean
}> = [
  { name: "a simple string without its end", begin: "+", more: "a".repeat(4096) },
  { name: "an error without its end", begin: "-ERR ", more: "a".repeat(4096) },
  { name: "a double without its end", begin: ",", more: "1".repeat(4096) },
  { name: "a big number without its end", begin: "(", more: "1".repeat(4096) },
  { name: "an integer without its end", begin: ":", more: "1".repeat(4096) },
  { name: "a length without its end", begin: "$", more: "1".repeat(4096) },
  { name: "a streamed string of one-byte parts", begin: "$?\r\n", more: ";1\r\na\r\n".repeat(512) },
  { name: "a streamed array of nothing", begin: "*?\r\n", more: "_\r\n".repeat(1024) },
  { name: "a streamed array of streamed strings", begin: "*?\r\n", more: "$?\r\n;0\r\n".repeat(512) },
  { name: "a streamed map", begin: "%?\r\n", more: "+__proto__\r\n:1\r\n".repeat(256) },
  { name: "a streamed set", begin: "~?\r\n", more: "$0\r\n\r\n".repeat(512) },
  { name: "an array of a billion", begin: "*1000000000\r\n", more: ":1\r\n".repeat(1024) },
  { name: "an array of 60 million", begin: "*60000000\r\n", more: ":1\r\n".repeat(1024) },
  { name: "an array in an array in an array", begin: "", more: "*1\r\n".repeat(1024) },
  { name: "a map in a map in a map", begin: "", more: "%1\r\n+k\r\n".repeat(512) },
  { name: "attributes of attributes", begin: "", more: "|1\r\n".repeat(1024) },
  { name: "pushes in pushes", begin: "", more: ">1\r\n".repeat(1024) },
  { name: "a push that does not end", begin: ">?\r\n", more: "+a\r\n".repeat(1024) },
  { name: "an attribute that does not end", begin: "|?\r\n", more: "+a\r\n".repeat(1024) },
  { name: "pushes in an array that does not end", begin: "*2\r\n", more: ">1\r\n+message\r\n".repeat(256) },
  { name: "attributes without their value", begin: "", more: "|1\r\n+a\r\n+b\r\n".repeat(256), harmless: true },
  { name: "pushes", begin: "", more: ">2\r\n+message\r\n+a\r\n".repeat(256), harmless: true },
  { name: "empty lines", begin: "", more: "\r\n".repeat(2048) }
]

/** Feeds a stream without end, up to `most` bytes; answers what became of it. */
export const feed = (
  { begin, more }: { readonly begin: string; readonly more: string },
  limits: ParserLimits,
  most: number
): { readonly failure: string | undefined; readonly read: number; readonly grown: number } => {
  const parser = new Parser({ onReply: () => {}, onPush: () => {}, onAttribute: () => {} }, limits)
  const before = used()
  let grown = 0
  let read = begin.length
  let failure = parser.write(bytesOf(begin))
  const chunk = bytesOf(more)
  while (failure === undefined && read < most) {
    failure = parser.write(chunk)
    read += chunk.length
    if (read % (64 * chunk.length) < chunk.length) {
      grown = Math.max(grown, used() - before)
    }
  }
  return { failure: failure?.reason, read, grown }
}
