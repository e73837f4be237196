/**
 * Why a request did not get its reply, as the engine knows it. The typed errors are made of it in `request/failure.ts`.
 */
import type { CloseReason } from "./transport.js"

export type Failure =
  | {
      readonly _tag: "Closed"
      readonly close: CloseReason
      readonly delivery: "unsent" | "unknown"
      /** The request's own reply ended the connection, and would end the next one, too. */
      readonly own?: true
    }
  | {
      readonly _tag: "Deadline"
      readonly phase: "queue" | "reply"
      readonly delivery: "unsent" | "unknown"
      readonly hint?: string | undefined
    }
  | { readonly _tag: "Overflow"; readonly limit: "commands" | "bytes"; readonly maximum: number }
