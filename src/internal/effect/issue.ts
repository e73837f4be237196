/**
 * Values of a schema, encoded and decoded, with a failure as the first place that does not fit and what the schema
 * expects there. Effect 4 has another tree of issues and returns other results; used by `Codec`, `RedisStream` and
 * scripts, wherever a user's schema meets a value.
 *
 * Effect's own formatters would quote the value, and would run functions of the schema's author to describe it.
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"

/** Where a value does not fit its schema, and why. The reason never holds the value. */
export interface Issue {
  readonly path: ReadonlyArray<string | number>
  readonly reason: string
}

/** How values of the schema are encoded. The schema must work synchronously. */
export const encoder = <A, I>(schema: Schema.Schema<A, I>): ((value: A) => Either.Either<I, Issue>) => {
  const encode = ParseResult.encodeEither(schema)
  return (value) => Either.mapLeft(encode(value), toIssue)
}

/** The same for values that the types know nothing of. */
export const unknownEncoder = <A, I>(schema: Schema.Schema<A, I>): ((value: unknown) => Either.Either<I, Issue>) => {
  const encode = ParseResult.encodeUnknownEither(schema)
  return (value) => Either.mapLeft(encode(value), toIssue)
}

/** How what a server stores becomes values of the schema. The schema must work synchronously. */
export const decoder = <A, I>(schema: Schema.Schema<A, I>): ((encoded: unknown) => Either.Either<A, Issue>) => {
  const decode = ParseResult.decodeUnknownEither(schema)
  return (encoded) => Either.mapLeft(decode(encoded), toIssue)
}

const listOf = <A>(some: A | ReadonlyArray<A>): ReadonlyArray<A> =>
  Array.isArray(some) ? (some as ReadonlyArray<A>) : [some as A]

/** The first place that does not fit, in Effect's tree of issues. */
export const toIssue = (error: ParseResult.ParseIssue): Issue => {
  const path: Array<string | number> = []
  let inside: SchemaAST.AST | undefined
  let current = error
  while (true) {
    switch (current._tag) {
      case "Pointer": {
        for (const part of listOf(current.path)) {
          path.push(place(part, inside))
        }
        current = current.issue
        break
      }
      case "Refinement":
      case "Transformation": {
        if (current._tag === "Refinement" && current.kind === "Predicate") {
          return unfit(path, `expected ${named(current.ast)}`)
        }
        current = current.issue
        break
      }
      case "Composite": {
        const issues = listOf(current.issues)
        // For an optional field, the issue of its value matters; that the value is not absent does not.
        const [first, second] = current.ast._tag === "Union" ? issues.filter((member) => !isAbsence(member)) : issues
        if (first === undefined || (current.ast._tag === "Union" && second !== undefined)) {
          return unfit(path, `expected ${named(current.ast)}`)
        }
        inside = current.ast
        current = first
        break
      }
      case "Type":
        return unfit(path, `expected ${named(current.ast)}`)
      case "Missing":
        return unfit(path, "missing")
      case "Unexpected":
        return unfit(path, "unexpected")
      case "Forbidden":
        return unfit(path, "the schema is not synchronous")
    }
  }
}

const isAbsence = (issue: ParseResult.ParseIssue): boolean =>
  issue._tag === "Type" &&
  (issue.ast._tag === "UndefinedKeyword" || (issue.ast._tag === "Literal" && issue.ast.literal === null))

const unfit = (path: ReadonlyArray<string | number>, why: string): Issue => ({
  path,
  reason: `it does not fit the schema (${why})`
})

/** What a schema calls itself. */
export const named = (ast: SchemaAST.AST): string => {
  const name = String(ast)
  return name.length > 100 ? `${name.slice(0, 100)}…` : name
}

/** Fields that the schema names are shown; the keys of a record are part of the value. */
const place = (part: PropertyKey, inside: SchemaAST.AST | undefined): string | number =>
  typeof part === "number"
    ? part
    : inside?._tag === "TypeLiteral" && inside.propertySignatures.some(({ name }) => name === part)
      ? String(part)
      : "*"
