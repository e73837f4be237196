/**
 * Errors of Effect whose messages quote the input that they could not read, or the URL that they requested. Effect 4 has
 * other tags and one class for all errors of Config; used by credentials.
 */
import * as ConfigError from "effect/ConfigError"

/** Whether the message of an error may quote a secret. An error about a missing value has nothing to quote. */
export const quotesInput = (error: { readonly _tag: unknown }): boolean =>
  error._tag === "ParseError" ||
  error._tag === "RequestError" ||
  error._tag === "ResponseError" ||
  (ConfigError.isConfigError(error) && !ConfigError.isMissingDataOnly(error))
