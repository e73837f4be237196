/**
 * A Channel that passes chunks through a decoder written in plain JavaScript. Effect 4 builds Channels from pulls,
 * orders their type parameters differently and has arrays for chunks; used by `Resp.decodeChannel`.
 */
import type * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"

/** Chunks of `In` come in, chunks of `Out` go out; the input may fail with `IE`, the decoding with `E`. */
export type ChunkChannel<Out, In, E, IE, Done> = Channel.Channel<
  Chunk.Chunk<Out>,
  Chunk.Chunk<In>,
  IE | E,
  IE,
  void,
  Done
>

/** Decodes one input after the other, and keeps what it needs of them in between. */
export interface ChunkDecoder<In, Out, E> {
  /** Reads one input; returns `false` when no further input can be read. */
  readonly read: (input: In) => boolean
  /** Hands over what was decoded since the last call. */
  readonly take: () => ReadonlyArray<Out>
  /** Why no further input can be read. */
  readonly failure: () => E | undefined
  /** Why the input must not end here. */
  readonly unfinished: () => E | undefined
}

/** The Channel; each run of it makes a decoder of its own. What was decoded before a failure is emitted first. */
export const decodeChannel = <In, Out, E, IE = never, Done = unknown>(
  make: () => ChunkDecoder<In, Out, E>
): ChunkChannel<Out, In, E, IE, Done> =>
  Channel.suspend(() => {
    const decoder = make()
    const loop: ChunkChannel<Out, In, E, IE, Done> = Channel.readWithCause({
      onInput: (inputs: Chunk.Chunk<In>) => {
        for (const input of inputs) {
          if (!decoder.read(input)) {
            break
          }
        }
        const decoded = Chunk.unsafeFromArray(decoder.take())
        const failure = decoder.failure()
        const next = failure === undefined ? loop : Channel.fail(failure)
        return Chunk.isEmpty(decoded) ? next : Channel.zipRight(Channel.write(decoded), next)
      },
      onFailure: (cause: Cause.Cause<IE>) => Channel.failCause(cause),
      onDone: () => {
        const failure = decoder.unfinished()
        return failure === undefined ? Channel.void : Channel.fail(failure)
      }
    })
    return loop
  })
