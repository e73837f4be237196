/** Errors of Effect whose messages quote the input that they could not read, or the URL that they requested. */
import * as Config from "effect/Config"
import type * as SchemaIssue from "effect/SchemaIssue"

const quoting = new Set<unknown>(["SchemaError", "ConfigError", "HttpClientError", "RequestError", "ResponseError"])

/** Whether an issue is only about values that are missing: such a value is of the wrong type, and nothing was met. */
const isMissing = (issue: SchemaIssue.Issue): boolean => {
  switch (issue._tag) {
    case "MissingKey":
      return true
    case "InvalidType":
      return issue.input === undefined
    case "Pointer":
      return isMissing(issue.issue)
    case "Composite":
      return issue.issues.every(isMissing)
    default:
      return false
  }
}

/** Whether the message of an error may quote a secret. An error about a missing value has nothing to quote. */
export const quotesInput = (error: { readonly _tag: unknown }): boolean =>
  quoting.has(error._tag) &&
  !(error instanceof Config.ConfigError && error.cause._tag === "SchemaError" && isMissing(error.cause.issue))
