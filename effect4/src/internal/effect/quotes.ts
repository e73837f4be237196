/** Errors of Effect whose messages quote the input that they could not read, or the URL that they requested. */

const quoting = new Set<unknown>(["SchemaError", "ConfigError", "HttpClientError", "RequestError", "ResponseError"])

/** Whether the message of an error may quote a secret. */
export const quotesInput = (error: { readonly _tag: unknown }): boolean => quoting.has(error._tag)
