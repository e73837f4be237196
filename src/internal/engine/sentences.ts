/**
 * The sentences of servers that can be shown to anybody, because they never quote an argument.
 */

/** Sentences that servers say on their own account. They are the same for every client, so none quotes what was sent. */
const sentences =
  /^(?:ERR max number of clients(?: \+ cluster connections)? reached|ERR DB index is out of range|ERR invalid DB index|ERR SELECT is not allowed in cluster mode|DENIED (?:(?:Redis|Valkey) is running|Running) in protected mode|NOAUTH Authentication required|NOAUTH HELLO must be called with the client already authenticated|WRONGPASS invalid username-password pair(?: or user is disabled)?|LOADING (?:Redis|Valkey) is loading the dataset in memory|MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'|BUSY (?:Redis|Valkey) is busy running a (?:script|module command)|ERR Protocol error(?:: (?:too big inline request|unbalanced quotes in request|too big mbulk count string|too big bulk count string|invalid multibulk length|invalid bulk length|unauthenticated multibulk length|unauthenticated bulk length|invalid CRLF in request))?)(?![\w-])/

/** The server's own sentence that an error begins with, if it begins with one. */
export const ownWords = (message: string): string | undefined => sentences.exec(message)?.[0]
