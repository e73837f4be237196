/**
 * Values of a schema, encoded and decoded, with a failure as the first place that does not fit and what the schema
 * expects there.
 *
 * Effect's own formatters would quote the value, and would run functions of the schema's author to describe it.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"

/** Where a value does not fit its schema, and why. The reason never holds the value. */
export interface Issue {
  readonly path: ReadonlyArray<string | number>
  readonly reason: string
}

const toResult = <A>(exit: Exit.Exit<A, SchemaIssue.Issue>): Result.Result<A, Issue> => {
  if (Exit.isSuccess(exit)) {
    return Result.succeed(exit.value)
  }
  const failure = Cause.findErrorOption(exit.cause)
  if (Option.isSome(failure)) {
    return Result.fail(toIssue(failure.value))
  }
  // A function of the schema's author has thrown, or was asynchronous.
  const defect = Cause.squash(exit.cause)
  if (isAsync(defect)) {
    return Result.fail(unfit([], notSynchronous))
  }
  throw defect
}

const isAsync = (defect: unknown): boolean =>
  typeof defect === "object" && defect !== null && "_tag" in defect && defect._tag === "AsyncFiberError"

const notSynchronous = "the schema is not synchronous"

/** How values of the schema are encoded. The schema must work synchronously. */
export const encoder = <A, I>(schema: Schema.Codec<A, I>): ((value: A) => Result.Result<I, Issue>) => {
  const encode = SchemaParser.encodeExit(schema)
  return (value) => toResult(encode(value))
}

/** The same for values that the types know nothing of. */
export const unknownEncoder = <A, I>(schema: Schema.Codec<A, I>): ((value: unknown) => Result.Result<I, Issue>) => {
  const encode = SchemaParser.encodeUnknownExit(schema)
  return (value) => toResult(encode(value))
}

/** How what a server stores becomes values of the schema. The schema must work synchronously. */
export const decoder = <A, I>(schema: Schema.Codec<A, I>): ((encoded: unknown) => Result.Result<A, Issue>) => {
  const decode = SchemaParser.decodeUnknownExit(schema)
  return (encoded) => toResult(decode(encoded))
}

/** The first place that does not fit, in Effect's tree of issues. */
export const toIssue = (error: SchemaIssue.Issue): Issue => {
  const path: Array<string | number> = []
  let inside: SchemaAST.AST | undefined
  let current = error
  while (true) {
    switch (current._tag) {
      case "Pointer": {
        for (const part of current.path) {
          path.push(place(part, inside))
        }
        current = current.issue
        break
      }
      case "Encoding": {
        inside = current.ast
        current = current.issue
        break
      }
      case "Composite": {
        inside = current.ast
        current = current.issues[0]
        break
      }
      case "Filter": {
        const name = ownName(current.filter.annotations)
        return unfit(path, name === undefined ? "a check failed" : `expected ${short(name)}`)
      }
      case "InvalidType":
      case "OneOf":
        return unfit(path, `expected ${named(current.ast)}`)
      case "AnyOf": {
        // For an optional field, the issue of its value matters; that the value is not absent does not.
        const [first, second] = current.issues.filter((member) => !isAbsence(member))
        if (first === undefined || second !== undefined) {
          return unfit(path, `expected ${named(current.ast)}`)
        }
        inside = current.ast
        current = first
        break
      }
      case "InvalidValue":
        return unfit(path, "expected another value")
      case "MissingKey":
        return unfit(path, "missing")
      case "UnexpectedKey":
        return unfit(path, "unexpected")
      case "Forbidden":
        return unfit(path, notSynchronous)
    }
  }
}

const isAbsence = (issue: SchemaIssue.Issue): boolean =>
  issue._tag === "InvalidType" && (issue.ast._tag === "Undefined" || issue.ast._tag === "Null")

const unfit = (path: ReadonlyArray<string | number>, why: string): Issue => ({
  path,
  reason: `it does not fit the schema (${why})`
})

/** What a schema calls itself. */
export const named = (ast: SchemaAST.AST): string => short(describe(ast))

const short = (name: string): string => (name.length > 100 ? `${name.slice(0, 100)}…` : name)

/** The text that the author of a schema or a check has given to it. It is the same for each value. */
const ownName = (annotations: unknown): string | undefined => {
  const { expected, identifier, title } = (annotations ?? {}) as { readonly [key: string]: unknown }
  const name = identifier ?? title ?? expected
  return typeof name === "string" ? name : undefined
}

const described: { readonly [Tag in SchemaAST.AST["_tag"]]?: string } = {
  Null: "null",
  Undefined: "undefined",
  Void: "void",
  Never: "never",
  Unknown: "unknown",
  Any: "any",
  String: "string",
  Number: "number",
  Boolean: "boolean",
  BigInt: "bigint",
  Symbol: "symbol",
  UniqueSymbol: "symbol",
  ObjectKeyword: "object",
  Arrays: "array",
  Objects: "object"
}

const describe = (ast: SchemaAST.AST): string => {
  // The annotations of a schema with checks are those of its last check, of which only the names are meant for the whole.
  const { identifier, title } = (SchemaAST.resolve(ast) ?? {}) as { readonly [key: string]: unknown }
  const own = ownName({ identifier, title }) ?? ownName(ast.annotations)
  if (own !== undefined) {
    return own
  }
  switch (ast._tag) {
    case "Literal":
      return typeof ast.literal === "string"
        ? JSON.stringify(ast.literal)
        : `${ast.literal}${typeof ast.literal === "bigint" ? "n" : ""}`
    case "Union":
      return ast.types.map(describe).join(" | ")
    default:
      return described[ast._tag] ?? "another type"
  }
}

/** Fields that the schema names are shown; the keys of a record are part of the value. */
const place = (part: PropertyKey, inside: SchemaAST.AST | undefined): string | number =>
  typeof part === "number" ? part : inside !== undefined && hasField(inside, part) ? String(part) : "*"

const hasField = (ast: SchemaAST.AST, name: PropertyKey): boolean =>
  ast._tag === "Objects"
    ? ast.propertySignatures.some((property) => property.name === name)
    : ast._tag === "Union"
      ? ast.types.some((member) => hasField(member, name))
      : ast.encoding !== undefined && hasField(ast.encoding[ast.encoding.length - 1]?.to ?? ast, name)
