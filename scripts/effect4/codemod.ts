/**
 * Turns a source file that is written for Effect 3 into one for Effect 4. It knows names by the module they are imported
 * from, and Eithers by their type. Whatever it does not know is reported, so that neither line can drift unseen.
 */
import * as ts from "typescript"
import { calls, type Edit } from "./calls.js"
import { members, modules } from "./names.js"

export interface Translation {
  readonly text: string
  /** Names that Effect 4 does not have, each with its place. */
  readonly unknown: ReadonlyArray<string>
}

export interface Options {
  readonly program: ts.Program
  /** The names that a module of Effect 4 exports; undefined for a module that does not exist. */
  readonly exportsOf: (module: string) => ReadonlySet<string> | undefined
}

interface Binding {
  /** `effect/Effect`. */
  readonly module: string
  /** The exported name; undefined for the module itself. */
  readonly member: string | undefined
}

const fromEffect = /^(?:effect|@effect\/(?:platform|platform-node|vitest))(?:\/|$)/
/** Packages whose index has modules as members. */
const indexes = new Set(["effect", "@effect/platform", "@effect/platform-node"])

/** The name by which files know a module. */
const shortName = (module: string): string =>
  module === "fast-check" ? "FastCheck" : module.slice(module.lastIndexOf("/") + 1)

/** `Result.fail` → the module `effect/Result` and the name `fail`. */
const parse = (target: string): readonly [module: string, member: string] => {
  const dot = target.lastIndexOf(".")
  const name = target.slice(0, dot)
  return [name.includes("/") ? name : `effect/${name}`, target.slice(dot + 1)]
}

export const translate = (file: ts.SourceFile, { exportsOf, program }: Options): Translation => {
  const checker = program.getTypeChecker()
  const text = file.text
  const edits: Array<Edit> = []
  const unknown: Array<string> = []
  const replace = (start: number, end: number, by: string): void => {
    edits.push({ start, end, text: by })
  }
  const report = (node: ts.Node, message: string): void => {
    const { line } = file.getLineAndCharacterOfPosition(node.getStart())
    unknown.push(`${file.fileName}:${line + 1}: ${message}`)
  }

  // What the imports bind.
  const bindings = new Map<ts.Symbol, Binding>()
  const imports: Array<ts.ImportDeclaration> = []
  for (const statement of file.statements) {
    if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) continue
    const module = statement.moduleSpecifier.text
    if (!fromEffect.test(module) || module === "@effect/vitest") continue
    const named = statement.importClause?.namedBindings
    if (named === undefined) continue
    imports.push(statement)
    const bind = (name: ts.Identifier, binding: Binding): void => {
      const symbol = checker.getSymbolAtLocation(name)
      if (symbol !== undefined) bindings.set(symbol, binding)
    }
    if (ts.isNamespaceImport(named)) {
      bind(named.name, { module, member: undefined })
    } else {
      for (const { name, propertyName } of named.elements) {
        const member = (propertyName ?? name).text
        bind(name, indexes.has(module) ? { module: `${module}/${member}`, member: undefined } : { module, member })
      }
    }
  }

  /** Modules and members that the translated file uses, each with whether as a value. */
  const usedModules = new Map<string, boolean>()
  const usedMembers = new Map<string, { module: string; value: boolean; local: string; member: string }>()
  const use = (module: string, value: boolean): void => {
    usedModules.set(module, value || (usedModules.get(module) ?? false))
  }

  const isType = (node: ts.Node): boolean => {
    for (let at: ts.Node = node; ; at = at.parent) {
      if (ts.isExpressionWithTypeArguments(at)) {
        return !(
          ts.isHeritageClause(at.parent) &&
          at.parent.token === ts.SyntaxKind.ExtendsKeyword &&
          ts.isClassLike(at.parent.parent)
        )
      }
      if (ts.isTypeNode(at) || (ts.isQualifiedName(at) && !ts.isImportEqualsDeclaration(at.parent))) return true
      if (ts.isExpression(at) && !ts.isIdentifier(at) && !ts.isPropertyAccessExpression(at)) return false
      if (ts.isStatement(at) || at.parent === undefined) return false
    }
  }

  const check = (node: ts.Node, module: string, member: string): void => {
    if (!fromEffect.test(module)) return
    const exported = exportsOf(module)
    if (exported === undefined) {
      report(node, `Effect 4 has no module ${module}`)
    } else if (!exported.has(member)) {
      report(node, `${module} of Effect 4 has no ${member}`)
    }
  }

  /** A member of a module, as `Effect.map`, or three parts long as `Config.Config.Wrap`. */
  const onMember = (
    left: ts.Identifier,
    { module }: Binding,
    node: ts.PropertyAccessExpression | ts.QualifiedName
  ): void => {
    const name = (n: typeof node): ts.Identifier =>
      ts.isPropertyAccessExpression(n) ? (n.name as ts.Identifier) : n.right
    const short = shortName(module)
    let whole: typeof node = node
    let target: string | undefined
    const { parent } = node
    if (
      (ts.isPropertyAccessExpression(parent) && parent.expression === node) ||
      (ts.isQualifiedName(parent) && parent.left === node)
    ) {
      target = members[`${short}.${name(node).text}.${name(parent).text}`]
      if (target !== undefined) whole = parent
    }
    target ??= members[`${short}.${name(node).text}`]
    const value = !isType(node)
    if (target === undefined) {
      const to = modules[module] ?? module
      use(to, value)
      check(node, to, name(node).text)
      if (shortName(to) !== left.text) replace(left.getStart(), left.getEnd(), shortName(to))
      return
    }
    const [to, member] = parse(target)
    use(to, value)
    check(node, to, member)
    replace(left.getStart(), left.getEnd(), shortName(to))
    replace(name(node).getStart(), name(whole).getEnd(), member)
  }

  /** Names that a rewrite of their call has replaced. */
  const done = new Set<ts.Node>()
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) return
    if (done.has(node)) return
    calls({ node, checker, replace, report, use, done: (name) => done.add(name) })
    if (ts.isIdentifier(node)) {
      const symbol = checker.getSymbolAtLocation(node)
      const binding = symbol && bindings.get(symbol)
      if (binding !== undefined) {
        const { parent } = node
        if (binding.member !== undefined) {
          const target = members[`${shortName(binding.module)}.${binding.member}`]
          const [module, member] =
            target === undefined ? [modules[binding.module] ?? binding.module, binding.member] : parse(target)
          check(node, module, member)
          const before = usedMembers.get(node.text)
          usedMembers.set(node.text, {
            module,
            member,
            local: node.text,
            value: !isType(node) || (before?.value ?? false)
          })
        } else if (
          (ts.isPropertyAccessExpression(parent) && parent.expression === node) ||
          (ts.isQualifiedName(parent) && parent.left === node)
        ) {
          onMember(node, binding, parent)
        } else {
          use(modules[binding.module] ?? binding.module, !isType(node))
          report(node, `the module ${binding.module} is used as a value`)
        }
      }
    }
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) && ts.isStringLiteral(node.argument.literal)) {
      const module = node.argument.literal.text
      const to = modules[module]
      if (to !== undefined) replace(node.argument.literal.getStart() + 1, node.argument.literal.getEnd() - 1, to)
    }
    ts.forEachChild(node, visit)
  }
  visit(file)

  // The imports: what is used of each, at the place of the first one that bound it.
  const written = new Set<string>()
  const importOf = (module: string): string =>
    `import ${usedModules.get(module) ? "" : "type "}* as ${shortName(module)} from "${module}"`
  const byIndex = imports.some((statement) => {
    const { text: module } = statement.moduleSpecifier as ts.StringLiteral
    return indexes.has(module)
  })
  const lines = (statement: ts.ImportDeclaration): ReadonlyArray<string> => {
    const { text: module } = statement.moduleSpecifier as ts.StringLiteral
    const named = statement.importClause?.namedBindings
    if (named === undefined) return []
    if (ts.isNamespaceImport(named)) {
      const to = modules[module] ?? module
      if (!usedModules.has(to) || written.has(to)) return []
      written.add(to)
      return [importOf(to)]
    }
    if (indexes.has(module)) {
      const names: Array<string> = []
      for (const { name, propertyName } of named.elements) {
        const from = `${module}/${(propertyName ?? name).text}`
        const to = modules[from] ?? from
        if (!usedModules.has(to) || written.has(to)) continue
        written.add(to)
        if (to.startsWith(`${module}/`) && !to.slice(module.length + 1).includes("/")) {
          names.push(`${statement.importClause?.isTypeOnly || usedModules.get(to) ? "" : "type "}${shortName(to)}`)
        } else {
          extra.push(importOf(to))
        }
      }
      return names.length === 0
        ? []
        : [`import ${statement.importClause?.isTypeOnly ? "type " : ""}{ ${names.join(", ")} } from "${module}"`]
    }
    const used = named.elements.flatMap(({ name }) => usedMembers.get(name.text) ?? [])
    return [...new Set(used.map((one) => one.module))].map((from) => {
      const ones = used.filter((one) => one.module === from)
      const parts = ones.map(({ local, member, value }) => {
        const as = local === member ? local : `${member} as ${local}`
        return value || statement.importClause?.isTypeOnly ? as : `type ${as}`
      })
      return `import ${statement.importClause?.isTypeOnly ? "type " : ""}{ ${parts.join(", ")} } from "${from}"`
    })
  }
  const extra: Array<string> = []
  const replaced = imports.map((statement) => ({ statement, lines: lines(statement) }))
  for (const module of usedModules.keys()) {
    if (!written.has(module)) {
      const index = byIndex && module.startsWith("effect/") && !module.slice(7).includes("/")
      extra.push(
        index
          ? `import ${usedModules.get(module) ? "" : "type "}{ ${shortName(module)} } from "effect"`
          : importOf(module)
      )
    }
  }
  replaced.forEach(({ statement, lines }, i) => {
    const all = i === replaced.length - 1 ? [...lines, ...extra] : lines
    let end = statement.getEnd()
    if (all.length === 0 && text[end] === "\n") end++
    replace(statement.getStart(), end, all.join("\n"))
  })
  const first = file.statements[0]
  if (replaced.length === 0 && extra.length > 0 && first !== undefined) {
    replace(first.getStart(), first.getStart(), `${extra.join("\n")}\n`)
  }

  // From the end, so that places stay true. Insertions at one place stay in their order.
  const ordered = edits
    .map((edit, i) => ({ ...edit, i }))
    .sort((a, b) => b.start - a.start || b.end - a.end || b.i - a.i)
  let result = text
  for (const { end, start, text: by } of ordered) {
    result = result.slice(0, start) + by + result.slice(end)
  }
  return { text: result, unknown }
}
