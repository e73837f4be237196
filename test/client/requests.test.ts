/** Pipelines and transactions of which a server refuses some commands: the owner may have just those sent again. */

import * as Exit from "effect/Exit"
import { Redis } from "effect-redis-client"
import { describe, expect, it } from "vitest"
import type { BatchResult } from "../../src/internal/command/model.js"
import { exitOf } from "../../src/internal/effect/atCaller.js"
import { prepareAll } from "../../src/internal/request/prepare.js"
import type { Refusals, Request, RequestOwner } from "../../src/internal/request/request.js"
import { ErrorReply, type Reply } from "../../src/internal/resp/values.js"

const settings = { replyTimeout: 1_000, observer: undefined, address: "server:1" }
const gets = ["a", "b", "c"].map((key) => Redis.get(key))

/** A batch whose replies the test hands over, and an owner that keeps it when `keeps` says so. */
const batch = (atomic: boolean, keeps: (errors: Refusals) => boolean) => {
  const results: Array<Exit.Exit<BatchResult, unknown>> = []
  const asked: Array<ReadonlyArray<string | undefined>> = []
  const request = prepareAll(gets, { atomic }, (result) => results.push(exitOf(result)), settings, undefined) as Request
  const owner: RequestOwner = {
    recover: () => false,
    refused: (_, errors) => {
      asked.push(errors.map((error) => error?.code))
      return keeps(errors)
    },
    demoted: () => {}
  }
  request.owner = owner
  const reply = (value: Reply): void => {
    request.remaining--
    request.onReply(value)
  }
  return { request, reply, results, asked }
}

const values = (exit: Exit.Exit<BatchResult, unknown> | undefined) =>
  exit !== undefined && Exit.isSuccess(exit)
    ? exit.value.exits.map((exit) => (Exit.isSuccess(exit) ? JSON.stringify(exit.value) : "failed"))
    : exit

const some = (text: string): string => JSON.stringify({ _id: "Option", _tag: "Some", value: text })

describe("a pipeline", () => {
  it("sends the refused commands again, keeps the other results, and answers in the given order", () => {
    const { asked, reply, request, results } = batch(false, () => true)
    reply("1")
    reply(new ErrorReply("TRYAGAIN Multiple keys request during rehashing of slot"))
    reply("3")
    expect(asked).toEqual([[undefined, "TRYAGAIN", undefined]])
    expect(results).toEqual([])
    expect(request.remaining).toBe(1)
    expect(request.wire).toBe("*2\r\n$3\r\nGET\r\n$1\r\nb\r\n")
    reply("2")
    expect(values(results[0])).toEqual([some("1"), some("2"), some("3")])
  })

  it("may be refused again, each time with fewer commands", () => {
    const { asked, reply, results } = batch(false, () => true)
    const loading = new ErrorReply("LOADING Redis is loading the dataset in memory")
    for (const value of [loading, "2", loading, loading, "3", "1"]) {
      reply(value)
    }
    expect(asked).toEqual([
      ["LOADING", undefined, "LOADING"],
      ["LOADING", undefined, undefined]
    ])
    expect(values(results[0])).toEqual([some("1"), some("2"), some("3")])
  })

  it("fails only the commands that are owed when its connection ends the second time", () => {
    const { reply, request, results } = batch(false, () => true)
    reply("1")
    reply(new ErrorReply("LOADING Redis is loading the dataset in memory"))
    reply("3")
    request.fail({ _tag: "Closed", close: { reason: "peerClosed", message: "gone" }, delivery: "unknown" })
    expect(values(results[0])).toEqual([some("1"), "failed", some("3")])
  })

  it("answers with the errors when its owner does not keep it", () => {
    const { reply, request, results } = batch(false, () => false)
    reply("1")
    reply(new ErrorReply("LOADING Redis is loading the dataset in memory"))
    reply("3")
    expect(values(results[0])).toEqual([some("1"), "failed", some("3")])
    expect(request.remaining).toBe(0)
  })
})

describe("a transaction", () => {
  it("is sent again as a whole when its owner keeps it after an error of EXEC", () => {
    const { asked, reply, request, results } = batch(true, () => true)
    for (const value of ["OK", "QUEUED", "QUEUED", "QUEUED", new ErrorReply("TRYAGAIN Multiple keys")]) {
      reply(value)
    }
    expect(asked).toEqual([["TRYAGAIN", "TRYAGAIN", "TRYAGAIN"]])
    expect(results).toEqual([])
    expect(request.remaining).toBe(5)
    for (const value of ["OK", "QUEUED", "QUEUED", "QUEUED", ["1", "2", "3"]]) {
      reply(value)
    }
    expect(values(results[0])).toEqual([some("1"), some("2"), some("3")])
  })
})
