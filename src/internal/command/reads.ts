/** Which commands a replica may answer. */
import type { Argument } from "./args.js"
import type { RedisCommand } from "./model.js"

/**
 * Whether a command only reads keys, so that a replica can answer it. Commands without a key describe one server, or belong to
 * its primary, and the cursor of a scan means something to the server that gave it only.
 */
export const isReadOfKey = ({ args, traits }: RedisCommand<unknown>): boolean =>
  traits.readonly &&
  traits.cursor === undefined &&
  traits.blocking === undefined &&
  traits.stateful === undefined &&
  args.some((argument: Argument) => argument.kind === "key")
