/** Sends the readonly commands of a part of a program elsewhere. */
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import { type ReadFrom, Redis } from "../command/model.js"
import type { Program } from "../effect/program.js"
import { type Under, under } from "./under.js"

export const readFrom: {
  (from: ReadFrom): <Self extends Program>(self: Self) => Under<Self, Redis>
  <Self extends Program>(self: Self, from: ReadFrom): Under<Self, Redis>
} = dual(2, (self: Program, from: ReadFrom) =>
  under(
    self,
    Effect.map(Redis, (redis) => redis.readFrom?.(from) ?? redis)
  )
)
