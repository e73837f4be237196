/**
 * Which scripts the server of a link holds, by SHA1: learnt from the replies of the commands that run scripts.
 */
import { specFor } from "../command/command.js"
import type { RedisCommand } from "../command/model.js"
import { ErrorReply, type Reply } from "../resp/values.js"

/**
 * How many scripts are remembered, the newest ones. A server forgets scripts that EVAL gave it when more than 500 others, of
 * all its clients, were used since.
 */
const mostScripts = 100

/** Learns from a reply whether the server holds the script that the command runs, if it runs one. */
export const learn = (scripts: Set<string> | undefined, command: RedisCommand<unknown>, reply: Reply): void => {
  const { script } = specFor(command)
  if (script === undefined || scripts === undefined) {
    return
  }
  if (!(reply instanceof ErrorReply)) {
    const sha = script.sha(command.args)
    scripts.delete(sha)
    scripts.add(sha)
    if (scripts.size > mostScripts) {
      scripts.delete(scripts.values().next().value as string)
    }
  } else if (reply.code === "NOSCRIPT") {
    scripts.delete(script.sha(command.args))
  }
}
