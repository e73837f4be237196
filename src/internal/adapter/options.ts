/** Options of the stores, checked: what is wrong fails with a `UsageError` that names the option. */
import * as Either from "effect/Either"
import { UsageError } from "../../RedisError.js"
import { isWellFormed } from "../resp/text.js"

export type Checked<A> = Either.Either<A, UsageError>

export const invalid = (message: string): Checked<never> =>
  Either.left(new UsageError({ reason: "invalidOptions", message }))

/** A prefix of keys: text that UTF-8 can encode. */
export const checkPrefix = (prefix: unknown): Checked<string> =>
  typeof prefix === "string" && isWellFormed(prefix)
    ? Either.right(prefix)
    : invalid("prefix must be text without lone surrogates")
