/**
 * What reading replies costs: `npx tsx bench/decode.ts [name]`. The best of several rounds, because other work on the
 * machine only ever makes a round slower.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { defaultLimits, Parser } from "../src/internal/resp/parser.js"
import * as Resp from "../src/Resp.js"

const only = process.argv[2]
const socketChunk = 64 * 1024

const chunksOf = (bytes: Uint8Array, size: number): ReadonlyArray<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length; at += size) {
    chunks.push(bytes.subarray(at, at + size))
  }
  return chunks
}

const newParser = (text: boolean, count: () => void): Parser =>
  new Parser({ onReply: count, onPush: count, onAttribute: count }, defaultLimits, { text, pushText: text })

const bestOf = (rounds: number, run: () => void): number => {
  let best = Infinity
  for (let i = 0; i < rounds; i++) {
    const start = performance.now()
    run()
    best = Math.min(best, performance.now() - start)
  }
  return best
}

const line = (name: string, value: string): void => console.log(`${name.padEnd(52)} ${value.padStart(16)}`)

/** Many equal replies in socket-sized chunks. */
const perReply = (name: string, reply: string, text = true): void => {
  if (only !== undefined && !name.includes(only)) {
    return
  }
  const count = Math.max(2_000, Math.min(200_000, Math.floor(8_000_000 / reply.length)))
  const chunks = chunksOf(Buffer.from(reply.repeat(count)), socketChunk)
  let seen = 0
  const parser = newParser(text, () => seen++)
  const best = bestOf(15, () => {
    for (const chunk of chunks) {
      parser.write(chunk)
    }
  })
  if (seen !== count * 15) {
    throw new Error(`${name}: ${seen} replies instead of ${count * 15}`)
  }
  line(name, `${((best * 1e6) / count).toFixed(1)} ns/reply`)
}

perReply("+OK", "+OK\r\n")
perReply("+QUEUED", "+QUEUED\r\n")
perReply(":1", ":1\r\n")
perReply(":1234567", ":1234567\r\n")
perReply("$3 as text", "$3\r\nbar\r\n")
perReply("$3 as bytes", "$3\r\nbar\r\n", false)
perReply("$100 as text", `$100\r\n${"x".repeat(100)}\r\n`)
perReply("$100 as bytes", `$100\r\n${"x".repeat(100)}\r\n`, false)
perReply("$-1", "$-1\r\n")
perReply("_", "_\r\n")
perReply(",1.5", ",1.5\r\n")
perReply("*10 of $3", `*10\r\n${"$3\r\nbar\r\n".repeat(10)}`)
perReply("*1000 of $3", `*1000\r\n${"$3\r\nbar\r\n".repeat(1000)}`)
perReply("%10 of $3, :1", `%10\r\n${"$3\r\nbar\r\n:1\r\n".repeat(10)}`)
perReply("*1 nested 8 deep", `${"*1\r\n".repeat(8)}:1\r\n`)
perReply(">3 message", ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n")

/** One large reply; the time must grow with its size and nothing else. */
const large = (name: string, bytes: Uint8Array, chunk: number, text: boolean): void => {
  if (only !== undefined && !name.includes(only)) {
    return
  }
  const chunks = chunksOf(bytes, chunk)
  let seen = 0
  const best = bestOf(3, () => {
    const parser = newParser(text, () => seen++)
    for (const part of chunks) {
      parser.write(part)
    }
  })
  if (seen !== 3) {
    throw new Error(`${name}: ${seen} replies instead of 3`)
  }
  line(name, `${best.toFixed(0)} ms, ${(best / (bytes.length / 1e6)).toFixed(2)} ms/MB`)
}

const bulk = (megabytes: number): Uint8Array =>
  Buffer.concat([
    Buffer.from(`$${megabytes * 1e6}\r\n`),
    Buffer.alloc(megabytes * 1e6, "0123456789abcdef"),
    Buffer.from("\r\n")
  ])

const textLine = (megabytes: number): Uint8Array =>
  Buffer.concat([Buffer.from("+"), Buffer.alloc(megabytes * 1e6, "x"), Buffer.from("\r\n")])

const streamed = (parts: number): Uint8Array => Buffer.from(`$?\r\n${";1\r\nx\r\n".repeat(parts)};0\r\n`)

large("bulk of 10 MB in 64 KB chunks, bytes", bulk(10), socketChunk, false)
large("bulk of 100 MB in 64 KB chunks, bytes", bulk(100), socketChunk, false)
large("bulk of 100 MB in 64 KB chunks, text", bulk(100), socketChunk, true)
large("bulk of 100 MB in 1 KB chunks, bytes", bulk(100), 1024, false)
large("line of 10 MB in 64 KB chunks", textLine(10), socketChunk, true)
large("line of 1 MB, byte by byte", textLine(1), 1, true)
large("line of 4 MB, byte by byte", textLine(4), 1, true)
large("streamed string of 1 MB in 1-byte parts", streamed(1e6), socketChunk, false)
large("streamed string of 4 MB in 1-byte parts", streamed(4e6), socketChunk, false)
large("bulk of 1 MB, byte by byte", bulk(1), 1, false)

/** The same bytes through the Stream. */
const stream = async (name: string, reply: string): Promise<void> => {
  if (only !== undefined && !name.includes(only)) {
    return
  }
  const count = 100_000
  const chunks = chunksOf(Buffer.from(reply.repeat(count)), socketChunk)
  let best = Infinity
  for (let i = 0; i < 5; i++) {
    const start = performance.now()
    const seen = await Effect.runPromise(
      Stream.fromIterable(chunks).pipe(Stream.rechunk(1), Resp.decode({ bulk: "text" }), Stream.runCount)
    )
    best = Math.min(best, performance.now() - start)
    if (seen !== count) {
      throw new Error(`${name}: ${seen} replies instead of ${count}`)
    }
  }
  line(name, `${((best * 1e6) / count).toFixed(1)} ns/reply`)
}

await stream("Stream, $3 as text", "$3\r\nbar\r\n")
