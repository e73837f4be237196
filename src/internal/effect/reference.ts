/** A service with a default. Effect 4 makes one without a class; used by the observer. */
import * as Context from "effect/Context"

/** What provides the service, and gives it when it is yielded. */
export interface Reference<A> extends Context.Reference<Reference<A>, A> {}

export const reference = <A>(id: string, defaultValue: () => A): Reference<A> =>
  Context.Reference<Reference<A>>()(id, { defaultValue }) as unknown as Reference<A>
