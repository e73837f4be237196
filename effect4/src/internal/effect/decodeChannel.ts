/** A Channel that passes arrays through a decoder written in plain JavaScript. */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"

/** Arrays of `In` come in, arrays of `Out` go out; the input may fail with `IE`, the decoding with `E`. */
export type ChunkChannel<Out, In, E, IE, Done> = Channel.Channel<
  Arr.NonEmptyReadonlyArray<Out>,
  IE | E,
  void,
  Arr.NonEmptyReadonlyArray<In>,
  IE,
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
  Channel.fromTransform((upstream: Pull.Pull<Arr.NonEmptyReadonlyArray<In>, IE, Done>) =>
    Effect.sync(() => {
      const decoder = make()
      const pull: Pull.Pull<Arr.NonEmptyReadonlyArray<Out>, IE | E, void> = Effect.suspend(() => {
        const failure = decoder.failure()
        if (failure !== undefined) {
          return Effect.fail(failure)
        }
        return Pull.matchEffect(upstream, {
          onSuccess: (inputs): Pull.Pull<Arr.NonEmptyReadonlyArray<Out>, IE | E, void> => {
            for (const input of inputs) {
              if (!decoder.read(input)) {
                break
              }
            }
            const decoded = decoder.take()
            return Arr.isReadonlyArrayNonEmpty(decoded) ? Effect.succeed(decoded) : pull
          },
          onFailure: (cause): Pull.Pull<never, IE | E, void> => Effect.failCause(cause),
          onDone: (): Pull.Pull<never, IE | E, void> => {
            const failure = decoder.unfinished()
            return failure === undefined ? Cause.done() : Effect.fail(failure)
          }
        })
      })
      return pull
    })
  )
