/** The places of the public modules where an editor shows a comment: what is exported, and the members of services. */
import { setImmediate } from "node:timers/promises"
import ts from "typescript"

export interface Place {
  /** `Redis.get`, `RedisStream.read`, `Pool.Pool.acquire`, … */
  readonly name: string
  /** Each way in which the editor shows the place without its comment: hover, a call of an overload, its parameters. */
  readonly silent: ReadonlyArray<string>
}

export interface Session {
  readonly service: ts.LanguageService
  /** The program, and how to replace its text. */
  readonly file: string
  readonly type: (code: string) => void
  /** The folder of the package. */
  readonly home: string
}

/** A place, as a program writes it: what comes before the word, and the word. */
interface Written {
  readonly name: string
  readonly before: string
  readonly word: string
  /** How many call signatures it has. */
  readonly overloads: number
}

/** All places, and the declarations that a program needs to write them. */
const find = ({ file, home, service }: Session, specifiers: ReadonlyArray<string>) => {
  const program = service.getProgram()
  const checker = program?.getTypeChecker()
  if (program === undefined || checker === undefined) throw new Error("no program")
  const places: Array<Written> = []
  const variables: Array<string> = []
  const seen = new Set<ts.Declaration | undefined>()

  const overloadsOf = (type: ts.Type) => checker.getNonNullableType(type).getCallSignatures().length

  /** Members that are declared here and have a name; others are Effect's, or named by symbols. Each is taken once. */
  const membersOf = (type: ts.Type) =>
    type.getProperties().filter(({ declarations, name }) => {
      const declaration = declarations?.[0]
      const ours = declaration?.getSourceFile().fileName.startsWith(home) === true
      if (!ours || !/^\w+$/.test(name) || seen.has(declaration)) return false
      seen.add(declaration)
      return true
    })

  const isFunction = (member: ts.Symbol) =>
    !(member.flags & ts.SymbolFlags.Optional) && overloadsOf(checker.getTypeOfSymbol(member)) > 0

  const addMembers = (owner: string, before: string, members: ReadonlyArray<ts.Symbol>) => {
    for (const member of members) {
      // Options are given, not called.
      const overloads = member.flags & ts.SymbolFlags.Optional ? 0 : overloadsOf(checker.getTypeOfSymbol(member))
      places.push({ name: `${owner}.${member.name}`, before: `${before}.`, word: member.name, overloads })
    }
  }

  const anyOf = (symbol: ts.Symbol) =>
    (symbol.declarations?.find(ts.isInterfaceDeclaration)?.typeParameters ?? []).map(() => "any")

  for (const [i, statement] of (program.getSourceFile(file)?.statements ?? []).entries()) {
    const module = ts.isImportDeclaration(statement) && checker.getSymbolAtLocation(statement.moduleSpecifier)
    if (!module) throw new Error(`no module ${specifiers[i]}`)
    // Constants first: commands are members of `Redis`, before they are members of the interfaces that it extends.
    const isConstant = ({ flags }: ts.Symbol) => Number((flags & ts.SymbolFlags.Variable) !== 0)
    const all = checker.getExportsOfModule(module).sort((a, b) => isConstant(b) - isConstant(a))
    for (const exported of all) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
      const name = `${specifiers[i]?.replace(/^effect-redis-client\//, "")}.${exported.name}`
      const path = `m${i}.${exported.name}`
      const isType = exported.declarations?.some(ts.isTypeOnlyImportOrExportDeclaration) === true
      const isValue = !isType && (symbol.flags & ts.SymbolFlags.Value) !== 0
      const type = checker.getTypeOfSymbol(symbol)
      const overloads = isValue ? overloadsOf(type) : 0
      places.push({ name, before: isValue ? `m${i}.` : `0 as m${i}.`, word: exported.name, overloads })
      if (isValue && symbol.flags & ts.SymbolFlags.Variable) addMembers(name, path, membersOf(type))
      if (symbol.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.Class)) {
        const members = membersOf(checker.getDeclaredTypeOfSymbol(symbol))
        // A service can do something. Plain data has fields that need no comment.
        if (members.some(isFunction)) {
          const variable = `t${variables.length}`
          const parameters = anyOf(symbol).join(", ")
          variables.push(`declare const ${variable}: ${path}${parameters && `<${parameters}>`}`)
          addMembers(name, variable, members)
        }
      }
    }
  }
  return { places, variables }
}

/** The parameters of each of `n` overloads, as a type. */
const parametersOf = (n: number) => {
  const each = Array.from({ length: n }, (_, i) => i)
  const signatures = each.map((i) => `(...a: infer A${i}): infer _${i}`).join("; ")
  return `type P${n}<F> = F extends { ${signatures} } ? [${each.map((i) => `A${i}`).join(", ")}] : never`
}

const isDeprecated = (tags: ReadonlyArray<ts.JSDocTagInfo> = []) => tags.some(({ name }) => name === "deprecated")

export const placesIn = async (session: Session, specifiers: ReadonlyArray<string>): Promise<ReadonlyArray<Place>> => {
  const { file, service, type } = session
  const imports = specifiers.map((specifier, i) => `import * as m${i} from "${specifier}"`)
  type(imports.join("\n"))
  const { places, variables } = find(session, specifiers)
  const most = Math.max(...places.map(({ overloads }) => overloads))
  const tuples = Array.from({ length: most }, (_, i) => parametersOf(i + 1))
  let code = [...imports, ...tuples, ...variables, ""].join("\n")
  /** One program with each place alone and in a call of each overload. */
  const written = places.map((place) => {
    const { before, overloads, word } = place
    const write = (after: string) => {
      const at = code.length + before.length
      code += `${before}${word}${after}\n`
      return at
    }
    const alone = write("")
    const calls = Array.from({ length: overloads }, (_, i) =>
      write(`!(...({} as P${overloads}<NonNullable<typeof ${before}${word}>>)[${i}])`)
    )
    return { ...place, alone, calls }
  })
  type(code)
  const found: Array<Place> = []
  for (const { alone, calls, name, word } of written) {
    // A test runner takes a worker for dead that does not answer for a minute.
    await setImmediate()
    const silent: Array<string> = []
    const hovered = service.getQuickInfoAtPosition(file, alone)
    const deprecated = isDeprecated(hovered?.tags)
    const look = (what: string, shown: Pick<ts.QuickInfo, "documentation" | "tags"> | undefined) => {
      if (!shown?.documentation?.length) silent.push(what)
      else if (isDeprecated(shown.tags) !== deprecated) silent.push(`${what} (whether it is deprecated)`)
    }
    look("hover", hovered)
    for (const [i, at] of calls.entries()) look(`call ${i + 1}`, service.getQuickInfoAtPosition(file, at))
    const [first] = calls
    if (first !== undefined) {
      const help = service.getSignatureHelpItems(file, first + word.length + "!(".length, undefined)
      if (help?.items.length !== calls.length) silent.push("parameters of every overload")
      for (const [i, item] of (help?.items ?? []).entries()) look(`parameters of overload ${i + 1}`, item)
    }
    found.push({ name, silent })
  }
  return found
}
