/**
 * Names as messages and log lines show them. A channel, a stream or a field is named by whoever writes to the server, so a
 * name may hold a line break that forges a log line, or an escape sequence that changes a terminal.
 */

/** Control characters, line and paragraph separators, and characters that change the direction of the text after them. */
const invisible = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

const short: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

/** The text on one line, with `\n`, `\u001b` and the like in place of such characters. */
export const visible = (text: string): string =>
  text.replace(
    invisible,
    (character) => short[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )
