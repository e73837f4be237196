/** A service with a default. */
import * as Context from "effect/Context"

/** What provides the service, and gives it when it is yielded. */
export type Reference<A> = Context.Reference<A>

export const reference = <A>(id: string, defaultValue: () => A): Reference<A> =>
  Context.Reference<A>(id, { defaultValue })
