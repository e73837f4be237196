/**
 * What a node of a cluster says when it does not execute a command: that another node has the slot, or that it may be asked
 * again later. The sentences are the servers' own, so an error of a script does not look like one by chance.
 */

import type { RedisCommand } from "../command/model.js"
import { isRefusalSentence } from "../command/sentences.js"

export type Redirection =
  | { readonly _tag: "Moved" | "Ask"; readonly slot: number; readonly host: string; readonly port: number }
  /** The same node can execute it when the slot's migration is over. */
  | { readonly _tag: "TryAgain" }
  /** The slot has no owner, or the node sees no majority. */
  | { readonly _tag: "Down" }
  /** The node became a replica. */
  | { readonly _tag: "Demoted" }
  /** The node cannot serve yet. */
  | { readonly _tag: "NotReady" }

/**
 * The same for an error of a command. A script that may write can answer any error after it has written, so of such a script
 * only the server's own sentences count.
 */
export const refusalOf = ({ traits }: RedisCommand<unknown>, message: string): Redirection | undefined => {
  const redirection = redirectionOf(message)
  return redirection === undefined ||
    redirection._tag === "Moved" ||
    redirection._tag === "Ask" ||
    traits.script === undefined ||
    traits.readonly ||
    traits.repeatable ||
    isRefusalSentence(message)
    ? redirection
    : undefined
}

const sentence = /^(MOVED|ASK) (\d{1,5}) ([^\s/]*):(\d{1,5})$/

/** The meaning of an error, by its whole text; `undefined` when the command may have been executed. */
export const redirectionOf = (message: string): Redirection | undefined => {
  const end = message.indexOf(" ")
  switch (end === -1 ? message : message.slice(0, end)) {
    case "MOVED":
    case "ASK":
      return parse(message)
    case "TRYAGAIN":
      return { _tag: "TryAgain" }
    case "CLUSTERDOWN":
      return { _tag: "Down" }
    case "READONLY":
      // With this tail a command inside of a script said it, after others may have written.
      return /script: [0-9a-f]{40}/.test(message) ? undefined : { _tag: "Demoted" }
    case "UNBLOCKED":
      return message.startsWith("UNBLOCKED force unblock") ? { _tag: "Demoted" } : undefined
    case "LOADING":
    case "MASTERDOWN":
      return { _tag: "NotReady" }
    default:
      return undefined
  }
}

const parse = (message: string): Redirection | undefined => {
  const parts = sentence.exec(message)
  if (parts === null) {
    return undefined
  }
  const [, code, slotText, host = "", portText] = parts
  const slot = Number(slotText)
  const port = Number(portText)
  return slot < 16_384 && port > 0 && port < 65_536
    ? { _tag: code === "MOVED" ? "Moved" : "Ask", slot, host: unbracketed(host), port }
    : undefined
}

const unbracketed = (host: string): string => (host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host)
