#!/usr/bin/env node
/**
 * The command `effect-redis-client`, as it is installed with the package (`npx effect-redis-client doctor`). What it does is in
 * program.ts; here it gets its process.
 */
import * as Fs from "node:fs"
import * as process from "node:process"
import * as Effect from "effect/Effect"
import { program } from "./program.js"

/** The code of a system error. Its message would repeat the path, and more. */
const why = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : "it cannot be read"

const write = (stream: NodeJS.WriteStream, text: string): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (text === "") {
      resume(Effect.void)
    } else {
      // The reader may be gone.
      stream.once("error", () => resume(Effect.void))
      stream.write(text, () => resume(Effect.void))
    }
  })

const outcome = program({
  args: process.argv.slice(2),
  env: process.env,
  readFile: (path) => Effect.try({ try: () => Fs.readFileSync(path, "utf8"), catch: why }),
  readStdin: Effect.try({ try: () => Fs.readFileSync(0, "utf8"), catch: why })
})

/** A look-up of a name that has no answer yet would keep the process alive, so it is ended. */
const main = Effect.flatMap(outcome, ({ exitCode, stderr, stdout }) =>
  Effect.zipRight(
    Effect.zipRight(write(process.stderr, stderr), write(process.stdout, stdout)),
    Effect.sync(() => process.exit(exitCode))
  )
)

Effect.runFork(main)
