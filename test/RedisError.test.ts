import * as util from "node:util"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as ReplyErrors from "../src/internal/command/replyError.js"
import { isPermanent } from "../src/internal/request/recovery.js"
import * as RedisCommand from "../src/RedisCommand.js"
import * as RedisError from "../src/RedisError.js"
import * as Resp from "../src/Resp.js"
import { prettyWithCauses, prop } from "./support/effect.js"

const secret = "s3cr3t"

const renderings = (error: object): ReadonlyArray<string> => [
  String(error),
  JSON.stringify(error),
  JSON.stringify({ nested: [error] }),
  util.inspect(error, { depth: 10, showHidden: true }),
  util.inspect({ nested: [error] }, { depth: 10 }),
  util.format("%s %o %j", error, error, error),
  Cause.pretty(Cause.fail(error)),
  prettyWithCauses(Cause.die(error)),
  String(Exit.fail(error)),
  JSON.stringify(Exit.fail(error)),
  String(Either.left(error)),
  error instanceof Error ? `${error.message} ${error.stack ?? ""}` : ""
]

/** Every rendering contains `shown`, and none contains the secret. */
const showsNoSecret = (error: object, shown: string): void => {
  const all = renderings(error)
  for (const text of all) {
    expect(text).not.toContain(secret)
  }
  expect(all[0]).toContain(shown)
  expect(all[6]).toContain(shown)
}

const errors: ReadonlyArray<readonly [RedisError.RedisError, message: string]> = [
  [
    new RedisError.ReplyError({
      code: "WRONGTYPE",
      command: "GET",
      message: "GET: WRONGTYPE no",
      raw: Redacted.make(secret)
    }),
    "GET: WRONGTYPE no"
  ],
  [
    new RedisError.ProtocolError({ reason: "unknown type byte 0x48" }),
    "The server broke the protocol: unknown type byte 0x48"
  ],
  [
    new RedisError.ProtocolError({ reason: "unknown type byte 0x48", command: "GET", server: "localhost:6379" }),
    "GET: the server localhost:6379 broke the protocol: unknown type byte 0x48"
  ],
  [
    new RedisError.ConnectionError({
      reason: "peerClosed",
      delivery: "unknown",
      message: "The server closed the connection",
      command: "GET",
      server: "localhost:6379"
    }),
    "The server closed the connection"
  ],
  [
    new RedisError.DeadlineError({ phase: "reply", delivery: "unknown", milliseconds: 5000, command: "GET" }),
    "The reply deadline of GET passed after 5000 ms (delivery: unknown)"
  ],
  [
    new RedisError.DeadlineError({ phase: "acquire", delivery: "unsent", milliseconds: 1 }),
    "The acquire deadline passed after 1 ms (delivery: unsent)"
  ],
  [
    new RedisError.DeadlineError({
      phase: "queue",
      delivery: "unsent",
      milliseconds: 1,
      command: "GET",
      server: "localhost:6379",
      hint: "there was no connection"
    }),
    "The queue deadline of GET passed after 1 ms (server: localhost:6379, delivery: unsent): there was no connection"
  ],
  [
    new RedisError.DecodeError({ command: "HGETALL", path: ["age", 1], reason: "expected an integer, got text" }),
    "The reply to HGETALL does not decode at age.1: expected an integer, got text"
  ],
  [
    new RedisError.DecodeError({ command: "GET", path: [], reason: "expected text, got null" }),
    "The reply to GET does not decode: expected text, got null"
  ],
  [new RedisError.UsageError({ reason: "released", message: "It was given back" }), "It was given back"],
  [
    new RedisError.OverflowError({ limit: "commands", maximum: 10, command: "GET" }),
    "GET was not accepted: with it more would wait to be sent than maxQueuedCommands (10) allows; raise that option, or have less wait at once"
  ],
  [
    new RedisError.OverflowError({ limit: "bytes", maximum: 10 }),
    "A command was not accepted: with it more would wait to be sent than maxQueuedBytes (10) allows; raise that option, or have less wait at once"
  ],
  [
    new RedisError.PartialError({
      command: "MSET",
      succeeded: 2,
      errors: [
        {
          server: "slot 12706",
          error: new RedisError.DeadlineError({ phase: "reply", delivery: "unknown", milliseconds: 1, command: "MSET" })
        }
      ]
    }),
    "MSET was executed in part: 2 of 3 parts succeeded: slot 12706: The reply deadline of MSET passed after 1 ms (delivery: unknown)"
  ]
]

describe.each(errors)("$_tag: %s", (error, message) => {
  it("has a message that a person can act on, without secrets", () => {
    expect(error.message).toBe(message)
    expect(error).toBeInstanceOf(Error)
    expect(RedisError.isRedisError(error)).toBe(true)
    expect(error[RedisError.TypeId]).toBe(RedisError.TypeId)
    showsNoSecret(error, message)
  })

  it("survives a round trip through JSON", () => {
    const encoded = JSON.stringify(Schema.encodeSync(RedisError.RedisError)(error))
    expect(encoded).not.toContain(secret)
    const back = Schema.decodeUnknownSync(RedisError.RedisError)(JSON.parse(encoded))
    expect(back).toBeInstanceOf(error.constructor)
    expect([back._tag, back.message]).toEqual([error._tag, message])
    expect(Schema.encodeSync(RedisError.RedisError)(back)).toEqual(Schema.encodeSync(RedisError.RedisError)(error))
  })

  it.effect("can be caught by its tag", () =>
    Effect.gen(function* () {
      const caught = yield* Effect.fail(error as RedisError.RedisError).pipe(
        Effect.catchTags({
          ReplyError: (e) => Effect.succeed(e),
          ProtocolError: (e) => Effect.succeed(e),
          ConnectionError: (e) => Effect.succeed(e),
          DeadlineError: (e) => Effect.succeed(e),
          DecodeError: (e) => Effect.succeed(e),
          UsageError: (e) => Effect.succeed(e),
          OverflowError: (e) => Effect.succeed(e),
          PartialError: (e) => Effect.succeed(e)
        })
      )
      expect(caught).toBe(error)
    })
  )
})

describe("the secrets of a ReplyError", () => {
  it("are available on request", () => {
    const [error] = errors[0] ?? []
    expect(error?._tag === "ReplyError" && Redacted.value(error.raw)).toBe(secret)
  })

  it("are not part of its JSON", () => {
    const [error] = errors[0] ?? []
    const back = Schema.decodeUnknownSync(RedisError.RedisError)(
      Schema.encodeSync(RedisError.RedisError)(error as RedisError.RedisError)
    )
    expect(back._tag === "ReplyError" && Redacted.value(back.raw)).toBe("<redacted>")
  })
})

describe("batches", () => {
  const first = new RedisError.ReplyError({
    code: "ERR",
    command: "SET",
    message: "SET: ERR no",
    raw: Redacted.make(secret)
  })

  it("a PipelineError names the slot, and does not show the results", () => {
    const results = [Either.right(secret), Either.left(first)]
    const error = new RedisError.PipelineError({ at: 1, error: first, results })
    expect(error.message).toBe("Command 1 of the pipeline failed: SET: ERR no")
    expect([error._tag, error.at, error.error, error.results]).toEqual(["PipelineError", 1, first, results])
    for (const text of renderings(error)) {
      expect(text).not.toContain(secret)
    }
    expect(String(error)).toContain("Command 1")
    expect(new RedisError.PipelineError({ at: 1, command: "SET", error: first, results })).toMatchObject({
      command: "SET",
      message: "Command 1 (SET) of the pipeline failed: SET: ERR no"
    })
  })

  it("a TransactionError names the slot, and does not show the results", () => {
    const error = new RedisError.TransactionError({
      reason: "failed",
      at: "stock",
      error: first,
      results: { stock: secret }
    })
    expect(error.message).toBe("The transaction did not succeed (failed) at command stock: SET: ERR no")
    expect(error.results).toEqual({ stock: secret })
    for (const text of renderings(error)) {
      expect(text).not.toContain(secret)
    }
    expect(new RedisError.TransactionError({ reason: "conflict" })).toMatchObject({
      message: "The transaction did not succeed (conflict)",
      at: undefined,
      error: undefined,
      results: undefined
    })
  })

  it("their errors are not RedisErrors: only a batch fails with them", () => {
    expect(RedisError.isRedisError(new RedisError.TransactionError({ reason: "conflict" }))).toBe(false)
    expect(RedisError.isRedisError(new Error("x"))).toBe(false)
    expect(RedisError.isRedisError(undefined)).toBe(false)
  })

  it("isAnyRedisError is true for every error of this library, and for nothing else", () => {
    for (const error of [
      ...errors.map(([error]) => error),
      new RedisError.TransactionError({ reason: "conflict" }),
      new RedisError.PipelineError({ at: 0, error: first, results: [Either.left(first)] })
    ]) {
      expect([error._tag, RedisError.isAnyRedisError(error)]).toEqual([error._tag, true])
    }
    for (const other of [new Error("x"), { _tag: "PipelineError" }, null, undefined, "ERR"]) {
      expect(RedisError.isAnyRedisError(other)).toBe(false)
    }
  })

  it("a failure that names no command is shown with its delivery", () => {
    const error = new RedisError.ConnectionError({ reason: "transport", delivery: "unknown", message: "it broke" })
    expect(new RedisError.PipelineError({ at: 0, error, results: [] }).message).toBe(
      "Command 0 of the pipeline failed: it broke (delivery: unknown)"
    )
  })
})

describe("isUnsent and isRetryable", () => {
  const reply = (code: string, transient?: boolean) =>
    new RedisError.ReplyError({
      code,
      command: "SET",
      message: `SET: ${code}`,
      raw: Redacted.make(code),
      ...(transient === undefined ? {} : { transient })
    })
  const connection = (
    reason: RedisError.ConnectionErrorReason,
    delivery: RedisError.Delivery = "unsent",
    rest: { readonly message?: string; readonly cause?: unknown } = {}
  ) => new RedisError.ConnectionError({ reason, delivery, message: "", ...rest })
  const deadline = (phase: "connect" | "acquire" | "queue" | "reply", delivery: RedisError.Delivery) =>
    new RedisError.DeadlineError({ phase, delivery, milliseconds: 1 })
  const overflow = (limit: "commands" | "bytes" | "messages" | "messageBytes") =>
    new RedisError.OverflowError({ limit, maximum: 1 })
  const unsent = deadline("queue", "unsent")
  const loading = reply("LOADING", true)
  const aborted = reply("EXECABORT")
  const failed = (errors: ReadonlyArray<RedisError.RedisError | "done">) =>
    errors.map((error) => (error === "done" ? Either.right("OK") : Either.left(error)))
  const pipeline = (...errors: ReadonlyArray<RedisError.RedisError | "done">) =>
    new RedisError.PipelineError({ at: 0, error: unsent, results: failed(errors) })
  const transaction = (
    reason: "discarded" | "refused" | "failed",
    ...errors: ReadonlyArray<RedisError.RedisError | "done">
  ) => new RedisError.TransactionError({ reason, at: 0, error: unsent, results: { ...failed(errors) } })

  it.each<readonly [string, unknown, isUnsent: boolean, isRetryable: boolean]>([
    ["a server that is not ready", loading, false, true],
    ["another error of a server", reply("WRONGTYPE"), false, false],
    ["a script's own LOADING", reply("LOADING"), false, false],
    ["no connection", connection("connect"), true, true],
    ["a connection that was lost before the command was written", connection("transport"), true, true],
    ["a connection that was lost after that", connection("transport", "unknown"), false, false],
    ["credentials that could not be got", connection("credentials"), true, true],
    ["wrong credentials", connection("authentication"), true, false],
    ["a bad certificate", connection("tls"), true, false],
    ["another protocol", connection("protocol"), true, false],
    ["a closed client", connection("closed"), true, false],
    ["a refused handshake", connection("handshake"), true, false],
    ["a handshake while the server loads", connection("handshake", "unsent", { cause: loading }), true, true],
    [
      "a handshake with too many clients",
      connection("handshake", "unsent", { message: "the server refused HELLO: ERR max number of clients reached" }),
      true,
      true
    ],
    ["a deadline in the queue", unsent, true, true],
    ["a deadline of the pool", deadline("acquire", "unsent"), true, true],
    ["a deadline after the command was written", deadline("reply", "unknown"), false, false],
    ["too many commands", overflow("commands"), true, true],
    ["too many bytes", overflow("bytes"), true, true],
    ["a slow subscription", overflow("messages"), false, false],
    ["a usage error", new RedisError.UsageError({ reason: "released", message: "" }), true, false],
    [
      "a reply that does not decode",
      new RedisError.DecodeError({ command: "GET", path: [], reason: "" }),
      false,
      false
    ],
    ["a broken protocol", new RedisError.ProtocolError({ reason: "" }), false, false],
    ["a pipeline of which nothing was sent", pipeline(unsent, unsent), true, true],
    ["a pipeline that was refused", pipeline(loading, unsent), false, true],
    ["a pipeline of which a part was executed", pipeline("done", unsent), false, false],
    [
      "a pipeline of which a part may have been executed",
      pipeline(unsent, connection("transport", "unknown")),
      false,
      false
    ],
    ["a conflict", new RedisError.TransactionError({ reason: "conflict" }), false, true],
    ["a transaction that was discarded for now", transaction("discarded", aborted, reply("OOM", true)), false, true],
    ["a transaction that was discarded for good", transaction("discarded", aborted, reply("ERR")), false, false],
    ["a transaction of which only EXEC failed", transaction("discarded", aborted, aborted), false, false],
    ["a transaction whose server is not ready", transaction("refused", loading, loading), false, true],
    ["a transaction that was executed", transaction("failed", "done", reply("WRONGTYPE")), false, false],
    ["an error without results", new RedisError.TransactionError({ reason: "failed" }), false, false],
    ["another error", new Error("LOADING"), false, false],
    ["what looks like one", { _tag: "ConnectionError", delivery: "unsent" }, false, false],
    ["nothing", undefined, false, false]
  ])("%s", (_, error, isUnsent, isRetryable) => {
    expect([RedisError.isUnsent(error), RedisError.isRetryable(error)]).toEqual([isUnsent, isRetryable])
  })

  it("what the client takes for a permanent failure is never retryable", () => {
    const causes = [undefined, loading, reply("ERR")]
    for (const reason of RedisError.ConnectionErrorReason.literals) {
      for (const cause of causes) {
        // The message of a refused handshake has the server's words.
        const message = cause === loading ? "the server refused HELLO: LOADING" : "the server refused HELLO: ERR"
        const error = connection(reason, "unsent", { cause, message })
        expect([reason, cause, RedisError.isRetryable(error)]).toEqual([
          reason,
          cause,
          !isPermanent(error) && reason !== "closed"
        ])
      }
    }
  })

  it.each([
    ["SET", "LOADING Redis is loading the dataset in memory", true],
    ["SET", "LOADING in words of another server", true],
    ["SET", "OOM command not allowed when used memory > 'maxmemory'.", true],
    ["SET", "ERR no", undefined],
    ["SET", "MOVED 1 127.0.0.1:1", undefined],
    ["BLPOP", "UNBLOCKED client unblocked via CLIENT UNBLOCK", undefined],
    ["BLPOP", "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)", true],
    [
      "EXEC",
      "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.",
      true
    ],
    ["EXEC", "EXECABORT Transaction discarded because of previous errors.", undefined],
    ["EVAL_RO", "LOADING from inside", true],
    ["EVAL", "LOADING Valkey is loading the dataset in memory", true],
    ["EVAL", "LOADING from inside", undefined],
    ["EVALSHA", "OOM command not allowed when used memory > 'maxmemory'. script: 0a1b, on @user_script:1.", undefined],
    ["FCALL", "READONLY You can't write against a read only replica. script: on @user_script:1.", undefined]
  ])("%s, %s: transient is %s", (command, message, transient) => {
    expect(ReplyErrors.make(Resp.error(message), command, []).transient).toBe(transient)
  })
})

describe("catchCode", () => {
  const fail = (code: string) =>
    Effect.fail<RedisError.RedisError>(
      new RedisError.ReplyError({ code, command: "GET", message: code, raw: Redacted.make(code) })
    )
  const recovered = (error: RedisError.ReplyError) => Effect.succeed(`recovered from ${error.code}`)

  it.effect("recovers from the given code, and from no other", () =>
    Effect.gen(function* () {
      expect(yield* fail("WRONGTYPE").pipe(RedisError.catchCode("WRONGTYPE", recovered))).toBe(
        "recovered from WRONGTYPE"
      )
      expect(yield* RedisError.catchCode(fail("MOVED"), ["ASK", "MOVED"], recovered)).toBe("recovered from MOVED")
      for (const code of ["wrongtype", "WRONG", "WRONGTYPES", "ERR"]) {
        const exit = yield* Effect.exit(fail(code).pipe(RedisError.catchCode("WRONGTYPE", recovered)))
        expect(Exit.isFailure(exit)).toBe(true)
      }
      expect(Exit.isFailure(yield* Effect.exit(RedisError.catchCode(fail("ERR"), [], recovered)))).toBe(true)
    })
  )

  it.effect("leaves values, defects and other errors alone", () =>
    Effect.gen(function* () {
      const guard = RedisError.catchCode("ERR", recovered)
      expect(yield* guard(Effect.succeed(1))).toBe(1)
      expect(yield* Effect.exit(guard(Effect.die("bug")))).toEqual(Exit.die("bug"))
      expect(yield* Effect.exit(guard(Effect.fail({ _tag: "ReplyError", code: "ERR" })))).toEqual(
        Exit.fail({ _tag: "ReplyError", code: "ERR" })
      )
      const usage = new RedisError.UsageError({ reason: "released", message: "ERR" })
      expect(yield* Effect.exit(guard(Effect.fail(usage)))).toEqual(Exit.fail(usage))
    })
  )

  it.effect("recovers from a batch whose failures all have the codes, and from no other", () =>
    Effect.gen(function* () {
      const replied = (code: string) =>
        new RedisError.ReplyError({ code, command: "GET", message: code, raw: Redacted.make(code) })
      const usage = new RedisError.UsageError({ reason: "released", message: "" })
      const catches = (error: RedisError.AnyRedisError) =>
        Effect.fail(error).pipe(
          RedisError.catchCode(["WRONGTYPE", "OOM"], ({ code }) => Effect.succeed(code)),
          Effect.catchAll(() => Effect.succeed("not caught"))
        )
      const lefts = (...errors: ReadonlyArray<RedisError.RedisError>) => [Either.right(1), ...errors.map(Either.left)]
      const pipeline = (...errors: ReadonlyArray<RedisError.RedisError>) =>
        catches(new RedisError.PipelineError({ at: 1, error: usage, results: lefts(...errors) }))
      const transaction = (...errors: ReadonlyArray<RedisError.RedisError>) =>
        catches(new RedisError.TransactionError({ reason: "discarded", results: { ...lefts(...errors) } }))
      expect(yield* pipeline(replied("WRONGTYPE"))).toBe("WRONGTYPE")
      expect(yield* pipeline(replied("OOM"), replied("WRONGTYPE"))).toBe("OOM")
      expect(yield* pipeline(replied("WRONGTYPE"), replied("ERR"))).toBe("not caught")
      expect(yield* pipeline(replied("WRONGTYPE"), usage)).toBe("not caught")
      expect(yield* transaction(replied("EXECABORT"), replied("OOM"))).toBe("OOM")
      expect(yield* transaction(replied("EXECABORT"), replied("EXECABORT"))).toBe("not caught")
      expect(yield* catches(new RedisError.TransactionError({ reason: "conflict" }))).toBe("not caught")
    })
  )
})

describe("the text of a ReplyError", () => {
  const say = (
    name: string,
    input: ReadonlyArray<RedisCommand.ArgumentInput>,
    message: string
  ): RedisError.ReplyError => {
    const exit = RedisCommand.decode(RedisCommand.make(name, { args: input }), Resp.error(message))
    const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
    if (error?._tag !== "ReplyError") {
      throw new Error("not a ReplyError")
    }
    expect(Redacted.value(error.raw)).toBe(message)
    return error
  }

  it.each<readonly [string, ReadonlyArray<RedisCommand.ArgumentInput>, string, string]>([
    // The server's own words stay readable, even when a key equals one of them.
    ["GET", ["key"], "WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE"],
    ["INCRBY", ["value", "integer"], "ERR value is not an integer or out of range", "ERR"],
    ["SET", ["range", "syntax error"], "ERR syntax error", "ERR"],
    ["GET", [], "ERR wrong number of arguments for 'get' command", "ERR"],
    ["CLUSTER SLOTS", ["x"], "ERR wrong number of arguments for 'cluster|slots' command", "ERR"],
    ["GET", ["k"], "MOVED 3999 127.0.0.1:6381", "MOVED"],
    // Servers quote no argument in these, so a short one that stands in them hides nothing.
    ["SET", ["a", "1"], "MOVED 15495 127.0.0.1:7723", "MOVED"],
    ["SET", ["one", "a"], "ASK 3999 redis-one.a.example:6379", "ASK"],
    ["SET", ["1", "::"], "MOVED 1 ::1:7000", "MOVED"],
    ["GET", ["1"], "MOVED 1 :7000", "MOVED"],
    [
      "HELLO",
      ["3", RedisCommand.token("AUTH"), "user", "pair"],
      "WRONGPASS invalid username-password pair or user is disabled.",
      "WRONGPASS"
    ],
    ["SET", ["is", "in"], "LOADING Valkey is loading the dataset in memory", "LOADING"],
    ["SET", ["a", "to"], "NOREPLICAS Not enough good replicas to write.", "NOREPLICAS"],
    ["SETBIT", ["is", "or", "an"], "ERR bit offset is not an integer or out of range", "ERR"],
    // Of a script, too, because the server says it before it runs the script, or of a command inside of it.
    ["EVALSHA", ["0a1b", "0"], "LOADING Redis is loading the dataset in memory", "LOADING"],
    [
      "FCALL",
      ["f", "0"],
      "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
      "BUSY"
    ],
    ["GET", ["k"], "LOADING Redis is loading the dataset in memory", "LOADING"],
    ["SET", ["k", "v", RedisCommand.token("GX")], "ERR Unsupported option 'GX'", "ERR"],
    ["GET", ["k"], "ERR Can't execute 'get': only (P|S)SUBSCRIBE / PING / QUIT are allowed in this context", "ERR"],
    ["LINSERT", ["list", "the value that is given", "member"], "ERR no value is here", "ERR"]
  ])("%s %j: %s is shown", (name, input, message, code) => {
    const error = say(name, input, message)
    expect([error.code, error.message]).toEqual([code, `${name}: ${message}`])
  })

  it.each<readonly [string, string, ReadonlyArray<RedisCommand.ArgumentInput>, string]>([
    ["a value", "SET", [secret], `ERR bad ${secret} here`],
    ["a value, twice", "SET", [secret], `ERR bad ${secret}${secret} here`],
    ["a key", "GET", [RedisCommand.key(secret)], `ERR bad key ${secret}`],
    ["bytes", "SET", [new TextEncoder().encode(secret)], `ERR bad ${secret} here`],
    ["quoted bytes", "SET", [new TextEncoder().encode(secret)], `ERR bad '${secret}' here`],
    ["a number", "SET", [12345678], "ERR bad 12345678 s3cr4t"],
    ["a value in quotes", "SET", [secret], `ERR bad '${secret}'`],
    ["a value in double quotes", "SET", [secret], `ERR bad "${secret}"`],
    ["a value in backticks", "SET", [secret], `ERR bad \`${secret}\``],
    ["a value with an escaped quote", "SET", [`a"${secret}"b`], `ERR bad "a\\"${secret}\\"b"`],
    ["a value with a quote that is not escaped", "SET", [`it's ${secret}`], `ERR bad 'it's ${secret}'`],
    ["a value with a quote, shortened", "SET", [`it's ${secret} and more`], `ERR bad 'it's ${secret} an'`],
    ["a value with escaped bytes", "SET", [`\x00${secret}\xff`], `ERR bad "\\x00${secret}\\xc3\\xbf"`],
    ["a value whose line ends became spaces", "SET", [`one\r\n${secret}\r\nthree`], `ERR bad one  ${secret}  three`],
    ["a value, shortened", "SET", [`${secret} and a long tail`], `ERR bad ${secret} and a`],
    ["a value, shortened to an unclosed quote", "SET", [`${secret} and a long tail`], `ERR bad '${secret} and...`],
    ["the middle of a value", "FT.SEARCH", ["idx", `@a:b ${secret}*`], `Syntax error at offset 5 near ${secret}`],
    ["a value in other case", "SET", [secret], `ERR bad ${secret.toUpperCase()} here`],
    ["a value that begins like another", "SET", ["s3cr", `${secret}`], `ERR bad ${secret}`],
    ["a value inside of a word", "SET", [secret], `ERR bad x=${secret},y`],
    ["a value behind a fixed code", "SET", [secret], `WRONGTYPE of ${secret}`],
    ["a value in quotes behind a fixed code", "SET", [`${secret}!`], `MOVED '${secret}'`],
    ["a value as the address of a redirection", "SET", [secret], `MOVED 1 ${secret}:1`],
    ["a value behind a redirection", "SET", [secret], `MOVED 1 127.0.0.1:1 ${secret}`],
    [
      "a value in a sentence that is almost a server's own",
      "SET",
      [secret],
      `LOADING ${secret} is loading the dataset in memory`
    ],
    ["a script's error that looks like a redirection", "EVAL", ["x", 0], `MOVED 1 ${secret}:1`],
    [
      "a script's error that looks like a server's own",
      "EVAL",
      ["x", 0],
      `LOADING ${secret} is loading the dataset in memory`
    ],
    ["an unknown command", "FOO", [secret], `ERR unknown command 'FOO', with args beginning with: '${secret}' `],
    [
      "an unknown command, as older servers say",
      "FOO",
      [secret],
      `ERR unknown command \`FOO\`, with args beginning with: \`${secret}\`, `
    ],
    ["an unknown subcommand", "OBJECT", ["X", secret], `ERR unknown subcommand 'X' ${secret}. Try OBJECT HELP.`],
    ["an ACL rule", "ACL SETUSER", ["u", `>${secret}`], `ERR Error in ACL SETUSER modifier '>${secret}': Syntax error`],
    [
      "an ACL rule without its sign",
      "ACL SETUSER",
      ["u", `>${secret}`],
      `ERR Error in ACL SETUSER modifier ${secret.slice(0, 6)}`
    ],
    ["a password", "AUTH", ["user", secret], `ERR AUTH ${secret} called without any password configured`],
    ["a password in HELLO", "HELLO", [3, "AUTH", "u", secret], `ERR Syntax error in HELLO option '${secret}'`],
    [
      "a setting",
      "CONFIG SET",
      ["requirepass", secret],
      `ERR CONFIG SET failed (possibly related to argument '${secret}')`
    ],
    [
      "a script's error",
      "EVAL",
      [`error('${secret}')`, 0],
      `ERR user_script:1: ${secret} script: abc, on @user_script:1.`
    ],
    ["a script's error behind a code of its own", "EVAL", [`return {err='MYERR ${secret}'}`, 0], `MYERR ${secret}`],
    ["a script's error behind a fixed code", "EVAL", [`return {err='WRONGTYPE ${secret}'}`, 0], `WRONGTYPE ${secret}`],
    ["a function's error", "FCALL", ["f", 0, secret], `ERR ${secret}`],
    ["MIGRATE", "MIGRATE", ["h", 1, "", 0, 1, "AUTH", secret], `ERR Target instance replied with error: ${secret}`],
    ["no permission for a key", "GET", [secret], `NOPERM No permissions to access a key ${secret}`],
    ["no permission, with a user", "GET", ["k"], `NOPERM User ${secret} has no permissions to run the 'get' command`]
  ])("%s is not in the message", (_, name, input, message) => {
    const error = say(name, input, message)
    showsNoSecret(error, error.message)
    expect(error.message).not.toMatch(/s3cr3t|12345678/i)
    expect(error.code).toMatch(/^[A-Z]+$/)
  })

  it("an argument that the server answers as an error is not taken for a code", () => {
    for (const name of ["EVAL", "FCALL", "XADD"]) {
      expect(say(name, ["x", "TOPS3CR3T"], "TOPS3CR3T").code).toBe("ERR")
      expect(say(name, ["x", "TOPS3CR3T"], "TOPS3CR3T is no stream").message).not.toContain("TOPS3CR3T")
      expect(say(name, ["x", "TOPS3CR3T is"], "TOPS3CR3T is no stream").code).toBe("ERR")
    }
    // Codes that callers match on are kept, whatever the arguments are.
    expect(
      say("SET", ["WRONGTYPE", "ERR"], "WRONGTYPE Operation against a key holding the wrong kind of value").code
    ).toBe("WRONGTYPE")
    expect(say("EVAL", ["return redis.error_reply('MYCODE no')", 0], "MYCODE no").code).toBe("MYCODE")
  })

  it.each([
    ["NOPERM User channel has no permissions to run the 'keys' command", "to run this command"],
    ["NOPERM this user has no permissions to run the 'get' command", "to run this command"],
    ["NOPERM No permissions to access a key", "to access one of the keys"],
    ["NOPERM No permissions to access a channel", "to access one of the channels"]
  ])("%s", (message, told) => {
    expect(say("GET", ["k"], message).message).toBe(`GET: NOPERM this user has no permissions ${told}`)
  })

  it("the longest argument is blanked first, so that no part of it stays", () => {
    expect(say("SET", ["s3cr", "s3cr3t-tail"], "MOVED s3cr3t-tail s3cr").message).toBe("SET: MOVED <…> <…>")
  })

  it("short arguments are blanked as whole words only", () => {
    expect(say("SET", ["a", "an"], "ERR a bad an and a band").message).toBe("SET: ERR <…> bad <…> and <…> band")
    expect(say("SET", ["", "+"], "ERR 1 + 1").message).toBe("SET: ERR 1 <…> 1")
    expect(say("SET", [".*", "(["], "ERR bad .* and ([").message).toBe("SET: ERR bad <…> and <…>")
    expect(say("SET", ["$&$&$1"], "ERR bad $&$&$1").message).toBe("SET: ERR bad <…>")
  })

  it("messages and arguments of any size take little time, and nothing throws", () => {
    const start = performance.now()
    const long = "x".repeat(20_000_000)
    expect(say("GET", ["k"], `ERR '${long}'`).message).toMatch(/too long/)
    expect(say("GET", [long], "ERR bad x").message).toMatch(/too long/)
    expect(say("GET", [long], "WRONGTYPE Operation against a key holding the wrong kind of value").message).toMatch(
      /holding/
    )
    expect(
      say(
        "GET",
        Array.from({ length: 50_000 }, (_, i) => `argument ${i}`),
        `ERR bad ${"argument 4 ".repeat(300)}`
      ).code
    ).toBe("ERR")
    for (const quotes of ["'", '"', "'\"`", "\\'", "' "]) {
      say("GET", ["k"], `ERR ${quotes.repeat(4000 / quotes.length)}`)
    }
    expect(performance.now() - start).toBeLessThan(5000)
  })

  prop(
    "an argument never comes back, wherever it stands",
    [
      FastCheck.array(
        FastCheck.string({
          unit: FastCheck.constantFrom(..."abcXYZ019 '\"\\`.*$+\r\n\té✓"),
          minLength: 8,
          maxLength: 30
        }),
        {
          minLength: 1,
          maxLength: 4
        }
      ),
      FastCheck.constantFrom("ERR bad % here", "ERR bad '%'", 'ERR "%"', "%", "MYCODE %%", "MOVED %", "ERR x=%;")
    ],
    ([input, pattern]) => {
      for (const value of input) {
        const { message } = say(
          "SET",
          input,
          pattern.replaceAll("%", () => value)
        )
        expect(message.slice("SET: ".length)).not.toContain(value)
      }
    },
    { fastCheck: { numRuns: 300 } }
  )

  it.each([
    " script: 756928dd1246249109cfe8475bfa267e967ea948, on @user_script:1.",
    " script: on @user_script:1.",
    " script: f, on @library:2."
  ])("the place inside of a script is not shown: %s", (place) => {
    expect(say("EVAL", ["x", 0], `READONLY You can't write against a read only replica.${place}`).message).toBe(
      "EVAL: READONLY You can't write against a read only replica."
    )
  })

  it("a code is recognised by its form", () => {
    for (const [message, code] of [
      ["WRONGTYPE x", "WRONGTYPE"],
      ["NOAUTH", "NOAUTH"],
      ["oops", "ERR"],
      ["", "ERR"],
      ["A-B_2 x", "A-B_2"],
      ["É x", "ERR"]
    ]) {
      expect(ReplyErrors.make(Resp.error(message ?? ""), "GET", []).code).toBe(code)
    }
  })
})
