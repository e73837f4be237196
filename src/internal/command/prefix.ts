/**
 * Prefixes before the names that commands carry, and names as glob patterns. It does not decide which commands get a
 * prefix, and it removes none from replies.
 */
import { utf8Encode } from "../resp/text.js"
import type { Argument, Key } from "./args.js"

/** Puts a prefix before a name. A name of bytes stays bytes. */
export const prepend = (prefix: string, name: Key): Key => {
  if (typeof name === "string") {
    return prefix + name
  }
  const head = utf8Encode(prefix)
  const whole = new Uint8Array(head.length + name.length)
  whole.set(head)
  whole.set(name, head.length)
  return whole
}

const special = "\\*?[]"
const backslash = 92

const escapeText = (text: string): string => text.replace(/[\\*?[\]]/g, "\\$&")

/** A glob pattern that matches this name and no other. */
export const escapePattern = (name: Key): Key =>
  typeof name === "string"
    ? escapeText(name)
    : Uint8Array.from(
        [...name].flatMap((byte) => (special.includes(String.fromCharCode(byte)) ? [backslash, byte] : [byte]))
      )

/**
 * Rewrites the arguments of a client whose keys have a prefix. Keys and beginnings of keys get the prefix as it is;
 * patterns get it escaped, because a prefix is not a pattern. All other arguments stay as they are.
 */
export const prefixArguments = (prefix: string): ((argument: Argument) => Key) => {
  const escaped = escapeText(prefix)
  return ({ data, kind }) =>
    kind === "key" || kind === "keyPrefix" ? prepend(prefix, data) : kind === "pattern" ? prepend(escaped, data) : data
}
