/**
 * Rewrites for which a name is not enough: calls whose arguments look different in Effect 4, and values that have become
 * others there. They are found by the shape of the call or by types.
 */
import * as ts from "typescript"

export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

export interface Site {
  readonly node: ts.Node
  readonly checker: ts.TypeChecker
  readonly replace: (start: number, end: number, by: string) => void
  readonly report: (node: ts.Node, message: string) => void
  /** Says that the translated file uses a module. */
  readonly use: (module: string, value: boolean) => void
  /** Says that a name was rewritten as a whole. */
  readonly done: (node: ts.Node) => void
}

/** Whether a value of this type is an Either (or one side of one) of Effect. */
const isEither = (type: ts.Type): boolean =>
  (type.isUnion() ? type.types : [type]).some((part) => {
    const symbol = part.getSymbol()
    return (
      (symbol?.name === "Left" || symbol?.name === "Right") &&
      symbol.declarations?.[0]?.getSourceFile().fileName.endsWith("/effect/dist/dts/Either.d.ts") === true
    )
  })

const isOption = (type: ts.Type): boolean =>
  (type.isUnion() ? type.types : [type]).some((part) => {
    const symbol = part.getSymbol()
    return (
      (symbol?.name === "Some" || symbol?.name === "None") &&
      symbol.declarations?.[0]?.getSourceFile().fileName.endsWith("/effect/dist/dts/Option.d.ts") === true
    )
  })

const isFiber = (type: ts.Type): boolean =>
  type.getSymbol()?.name === "RuntimeFiber" || type.getSymbol()?.name === "Fiber"

/** The values of a literal object, by name. */
const fieldsOf = (node: ts.Expression | undefined): Readonly<Record<string, ts.Expression>> | undefined =>
  node !== undefined && ts.isObjectLiteralExpression(node)
    ? Object.fromEntries(
        node.properties.flatMap((property) =>
          ts.isPropertyAssignment(property) ? [[property.name.getText(), property.initializer]] : []
        )
      )
    : undefined

/** Whether `yield*` stands in a generator of Effect, and not in one of Option or Either. */
const inEffectGenerator = (node: ts.YieldExpression): boolean => {
  let at: ts.Node = node.parent
  while (!ts.isFunctionLike(at)) {
    if (at.parent === undefined) return false
    at = at.parent
  }
  const call = at.parent
  return ts.isCallExpression(call) && /^Effect\.(?:gen|fn|fnUntraced)\b/.test(call.expression.getText())
}

/** Calls with arguments that become one list: `Schema.Union(a, b)` → `Schema.Union([a, b])`. */
const lists = new Set(["Schema.Union", "Schema.Tuple"])

export const calls = ({ checker, done, node, replace, use }: Site): void => {
  const typeOf = (expression: ts.Node): ts.Type => checker.getTypeAtLocation(expression)

  if (ts.isPropertyAccessExpression(node) && (node.name.text === "left" || node.name.text === "right")) {
    if (isEither(typeOf(node.expression))) {
      replace(node.name.getStart(), node.name.getEnd(), node.name.text === "left" ? "failure" : "success")
    }
  }
  // The same as a pattern: `({ left }) => …`.
  if (ts.isBindingElement(node) && ts.isObjectBindingPattern(node.parent)) {
    const property = node.propertyName ?? node.name
    const text = property.getText()
    if ((text === "left" || text === "right") && isEither(typeOf(node.parent))) {
      const name = text === "left" ? "failure" : "success"
      replace(property.getStart(), property.getEnd(), node.propertyName === undefined ? `${name}: ${text}` : name)
    }
  }
  if (
    ts.isStringLiteral(node) &&
    (node.text === "Left" || node.text === "Right") &&
    ts.isBinaryExpression(node.parent)
  ) {
    const { left } = node.parent
    if (ts.isPropertyAccessExpression(left) && left.name.text === "_tag" && isEither(typeOf(left.expression))) {
      replace(node.getStart() + 1, node.getEnd() - 1, node.text === "Left" ? "Failure" : "Success")
    }
  }
  // What a test expects of an Either: `{ _tag: "Left", left }`.
  if (ts.isObjectLiteralExpression(node)) {
    const tag = node.properties.find((property) => property.name?.getText() === "_tag")
    const text = tag && ts.isPropertyAssignment(tag) && ts.isStringLiteral(tag.initializer) ? tag.initializer.text : ""
    if (tag && ts.isPropertyAssignment(tag) && (text === "Left" || text === "Right")) {
      replace(tag.initializer.getStart() + 1, tag.initializer.getEnd() - 1, text === "Left" ? "Failure" : "Success")
      for (const property of node.properties) {
        const name = property.name?.getText()
        if (property.name && ts.isPropertyAssignment(property) && (name === "left" || name === "right")) {
          replace(property.name.getStart(), property.name.getEnd(), name === "left" ? "failure" : "success")
        }
      }
    }
  }
  // The same without the tag, as a whole expectation: `toMatchObject({ left })`.
  if (
    ts.isObjectLiteralExpression(node) &&
    node.properties.length === 1 &&
    ts.isCallExpression(node.parent) &&
    /\.(?:toMatchObject|toEqual|toStrictEqual)$/.test(node.parent.expression.getText())
  ) {
    const [property] = node.properties
    const name = property?.name?.getText()
    if (property?.name && ts.isPropertyAssignment(property) && (name === "left" || name === "right")) {
      replace(property.name.getStart(), property.name.getEnd(), name === "left" ? "failure" : "success")
    }
  }
  if (ts.isPropertyAssignment(node) && (node.name.getText() === "onLeft" || node.name.getText() === "onRight")) {
    replace(node.name.getStart(), node.name.getEnd(), node.name.getText() === "onLeft" ? "onFailure" : "onSuccess")
  }
  if (ts.isYieldExpression(node) && node.asteriskToken && node.expression && inEffectGenerator(node)) {
    const type = typeOf(node.expression)
    const wrap = isEither(type)
      ? "Effect.fromResult"
      : isOption(type)
        ? "Effect.fromOption"
        : isFiber(type)
          ? "Fiber.join"
          : undefined
    if (wrap !== undefined) {
      use(wrap === "Fiber.join" ? "effect/Fiber" : "effect/Effect", true)
      replace(node.expression.getStart(), node.expression.getStart(), `${wrap}(`)
      replace(node.expression.getEnd(), node.expression.getEnd(), ")")
    }
  }
  if (ts.isCallExpression(node)) {
    const name = node.expression.getText()
    const [first] = node.arguments
    const last = node.arguments[node.arguments.length - 1]
    if (name === "Effect.gen" && node.arguments.length === 2 && first?.getText() === "this") {
      replace(first.getStart(), first.getEnd(), "{ self: this }")
    }
    if (name === "Schema.Literal" && node.arguments.length > 1 && first && last) {
      replace(node.expression.getStart(), node.expression.getEnd(), "Schema.Literals")
      replace(first.getStart(), first.getStart(), "[")
      replace(last.getEnd(), last.getEnd(), "]")
    }
    if (name === "Effect.catchTag") {
      // Several tags are a list in Effect 4.
      const tags = node.arguments.filter((argument) => ts.isStringLiteral(argument))
      const [one, two] = [tags[0], tags[tags.length - 1]]
      if (one !== undefined && two !== undefined && one !== two) {
        replace(one.getStart(), one.getStart(), "[")
        replace(two.getEnd(), two.getEnd(), "]")
      }
    }
    if (name === "Effect.withSpan") {
      // Whether the place is kept is an argument of its own in Effect 4.
      const second = node.arguments[1]
      const options = second && ts.isObjectLiteralExpression(second) ? second : undefined
      const at = options?.properties.findIndex((property) => property.name?.getText() === "captureStackTrace") ?? -1
      const property = options?.properties[at]
      if (options !== undefined && property !== undefined) {
        const end = options.properties[at + 1]?.getStart() ?? property.getEnd()
        replace(property.getStart(), end, "")
        replace(options.getEnd(), options.getEnd(), `, { ${property.getText()} }`)
      }
    }
    if (lists.has(name) && first && last) {
      replace(first.getStart(), first.getStart(), "[")
      replace(last.getEnd(), last.getEnd(), "]")
    }
  }
  // `Context.Tag(id)<Self, Service>()`: the types come first.
  if (
    ts.isCallExpression(node) &&
    ts.isCallExpression(node.expression) &&
    node.typeArguments !== undefined &&
    node.expression.expression.getText() === "Context.Tag"
  ) {
    const types = node.typeArguments.map((type) => type.getText()).join(", ")
    const id = node.expression.arguments[0] as ts.Expression
    replace(id.getFullStart() - 1, node.getEnd(), `<${types}>()(${id.getText()})`)
  }
  // Tests of Effect 4 have a scope anyway.
  if (
    ts.isPropertyAccessExpression(node) &&
    (node.name.text === "scoped" || node.name.text === "scopedLive") &&
    // Not the module Layer, which has both names too.
    !/^[A-Z]/.test(node.expression.getText()) &&
    typeOf(node.expression).getProperty("effect") !== undefined
  ) {
    replace(node.name.getStart(), node.name.getEnd(), node.name.text === "scopedLive" ? "live" : "effect")
  }
  if (ts.isPropertyAccessExpression(node) && node.name.text === "epochMillis") {
    replace(node.name.getStart(), node.name.getEnd(), "epochMilliseconds")
  }
  // Chunks of Effect 3 are Chunks or arrays in Effect 4.
  if (ts.isPropertyAccessExpression(node) && node.getText() === "Chunk.toReadonlyArray") {
    done(node)
    const called = ts.isCallExpression(node.parent) && node.parent.expression === node
    // As a function it may be given more than the Chunk: `chunks.map(Chunk.toReadonlyArray)`.
    replace(node.getStart(), node.getEnd(), called ? "Array.from" : "((some) => Array.from(some))")
  }
  // `Schema.Record({ key, value })`: one argument for each.
  if (
    ts.isCallExpression(node) &&
    /^Schema\.(?:Record|MapFromSelf|ReadonlyMapFromSelf)$/.test(node.expression.getText())
  ) {
    const [only] = node.arguments
    const fields = fieldsOf(only)
    if (only !== undefined && fields?.key !== undefined && fields.value !== undefined) {
      if (node.expression.getText() !== "Schema.Record") {
        done(node.expression)
        use("effect/Schema", true)
        replace(node.expression.getStart(), node.expression.getEnd(), "Schema.ReadonlyMap")
      }
      replace(only.getStart(), fields.key.getStart(), "")
      replace(fields.key.getEnd(), fields.value.getStart(), ", ")
      replace(fields.value.getEnd(), only.getEnd(), "")
    }
  }
  // What an Effectable is as an Effect.
  if (
    ts.isMethodDeclaration(node) &&
    node.name.getText() === "commit" &&
    ts.isClassLike(node.parent) &&
    node.parent.heritageClauses?.some((clause) => clause.getText().includes("Effectable.Class"))
  ) {
    replace(node.name.getStart(), node.name.getEnd(), "asEffect")
  }
  if (ts.isCallExpression(node)) {
    const rewrite = rewrites[node.expression.getText()]
    if (rewrite !== undefined) {
      done(node.expression)
      const [before, between, after, modules] = rewrite(node.arguments)
      const betweens = typeof between === "string" ? node.arguments.map(() => between) : between
      for (const module of modules) use(module, true)
      const [first] = node.arguments
      const last = node.arguments[node.arguments.length - 1]
      if (first === undefined || last === undefined) {
        replace(node.getStart(), node.getEnd(), before + after)
      } else {
        replace(node.getStart(), first.getStart(), before)
        node.arguments.slice(1).forEach((argument, i) => {
          replace((node.arguments[i] as ts.Expression).getEnd(), argument.getStart(), betweens[i] ?? ", ")
        })
        replace(last.getEnd(), node.getEnd(), after)
      }
    }
  }
  // What `Schema.transform` no longer asks for.
  if (
    ts.isPropertyAssignment(node) &&
    node.name.getText() === "strict" &&
    ts.isCallExpression(node.parent.parent) &&
    node.parent.parent.expression.getText() === "Schema.transform"
  ) {
    const { properties } = node.parent
    const next = properties[properties.indexOf(node) + 1]
    replace(node.getStart(), next === undefined ? node.getEnd() : next.getStart(), "")
  }
}

/** What stands before the arguments, between them and after them, and the modules that it uses. */
type Rewrite = (
  args: ReadonlyArray<ts.Expression>
) => readonly [before: string, between: string | ReadonlyArray<string>, after: string, modules: ReadonlyArray<string>]

/** A check of a schema: `Schema.minLength(1)` → `Schema.check(Schema.isMinLength(1))`. */
const check =
  (name: string): Rewrite =>
  () => [`Schema.check(Schema.${name}(`, ", ", "))", ["effect/Schema"]]

/** Schedules are combined as a list: `schedule.pipe(Schedule.union(other))`, or `Schedule.union(one, other)`. */
const combined =
  (name: string): Rewrite =>
  (args) =>
    args.length === 1
      ? [`(self) => Schedule.${name}([self, `, "", "])", ["effect/Schedule"]]
      : [`Schedule.${name}([`, ", ", "])", ["effect/Schedule"]]

const rewrites: Readonly<Record<string, Rewrite>> = {
  "ConfigProvider.fromMap": () => [
    "ConfigProvider.fromUnknown(Object.fromEntries(",
    ", ",
    "))",
    ["effect/ConfigProvider"]
  ],
  "Chunk.size": () => ["Array.from(", ", ", ").length", []],
  "Effect.reduce": (args) =>
    args.length === 2
      ? ["Effect.reduce(() => ", ", ", ")", ["effect/Effect"]]
      : ["Effect.reduce(", [", () => ", ", "], ")", ["effect/Effect"]],
  "Effect.repeatN": (args) =>
    args.length === 1
      ? ["Effect.repeat({ times: ", "", " })", ["effect/Effect"]]
      : ["Effect.repeat(", ", { times: ", " })", ["effect/Effect"]],
  "Effect.yieldNow": () => ["Effect.yieldNow", "", "", ["effect/Effect"]],
  "Effect.dieMessage": () => ["Effect.die(new Error(", ", ", "))", ["effect/Effect"]],
  "Effect.withConfigProvider": () => [
    "Effect.provide(ConfigProvider.layer(",
    ", ",
    "))",
    ["effect/Effect", "effect/ConfigProvider"]
  ],
  "Schedule.intersect": combined("max"),
  "Schedule.union": combined("min"),
  "Stream.scan": (args) =>
    args.length === 2
      ? ["Stream.scan(() => ", ", ", ")", ["effect/Stream"]]
      : ["Stream.scan(", [", () => ", ", "], ")", ["effect/Stream"]],
  "Schedule.upTo": () => ["Schedule.upTo({ duration: ", "", " })", ["effect/Schedule"]],
  "Schema.between": (args) =>
    args.length === 2
      ? ["Schema.check(Schema.isBetween({ minimum: ", ", maximum: ", " }))", ["effect/Schema"]]
      : check("isBetween")(args),
  "Schema.filter": check("makeFilter"),
  "Schema.maxLength": check("isMaxLength"),
  "Schema.minLength": check("isMinLength"),
  "Schema.parseJson": (args) =>
    args.length === 0
      ? ["Schema.UnknownFromJsonString", "", "", ["effect/Schema"]]
      : ["Schema.fromJsonString(", ", ", ")", ["effect/Schema"]],
  "Schema.transform": () => [
    "",
    [".pipe(Schema.decodeTo(", ", SchemaTransformation.transform("],
    ")))",
    ["effect/Schema", "effect/SchemaTransformation"]
  ]
}
