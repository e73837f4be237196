#!/usr/bin/env node
/*
 * `npm run servers`: puts real Redis and Valkey servers into `.servers/`, where the tests look for them.
 *
 * Nothing is installed on the system and nothing is started as a service. The packages of three Debian suites are
 * downloaded by apt, from the mirror this machine's own apt is set up for, into folders of our own, and unpacked there.
 * A binary of a newer suite needs that suite's C library, so each server gets its libraries too, and a launcher that
 * runs it through its own dynamic loader. Why so: docs/servers.md.
 *
 *     .servers/redis-8.0/redis-server      the launcher (and redis-cli, redis-benchmark)
 *     .servers/redis-8.0/server.json       { product, version }, which the tests read
 *     .servers/redis-8.0/root/             the unpacked packages
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"

const home = path.join(path.dirname(fileURLToPath(import.meta.url)), "..", ".servers")

/**
 * What is wanted. A suite is used only if it has the wanted version: a suite in motion moves on one day, and then the
 * next one in the list, or this table, has to answer. Of "experimental sid" the server comes from the first suite, and
 * what that one does not have from the second.
 */
const wanted = [
  { name: "redis-6.0", product: "redis", version: "6.0", suites: ["bullseye"] },
  { name: "redis-7.0", product: "redis", version: "7.0", suites: ["bookworm"], modules: ["redis-redisearch"] },
  { name: "redis-8.0", product: "redis", version: "8.0", suites: ["trixie", "forky", "sid"] },
  { name: "redis-8.6", product: "redis", version: "8.6", suites: ["sid", "experimental sid"] },
  { name: "valkey-9.1", product: "valkey", version: "9.1", suites: ["forky", "sid"] }
]

const say = (line) => process.stdout.write(`${line}\n`)

const run = (command, args, options = {}) => {
  const done = spawnSync(command, args, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024, ...options })
  if (done.error !== undefined) throw done.error
  if (done.status !== 0) {
    const why = `${done.stderr ?? ""}${done.stdout ?? ""}`.trim().split("\n").slice(-6).join("\n    ")
    throw new Error(`${command} ${args.filter((arg) => !arg.includes("::")).join(" ")} failed: ${why}`)
  }
  return done.stdout
}

const retried = async (attempt) => {
  for (let tries = 1; ; tries++) {
    try {
      return attempt()
    } catch (error) {
      if (tries === 4) throw error
      await sleep(2_000 * tries)
    }
  }
}

const has = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).error === undefined

/** The version that a server binary says it has, or undefined when it does not run. */
const versionOf = (executable) => {
  const done = spawnSync(executable, ["--version"], { encoding: "utf8" })
  const match = /^(Redis|Valkey) server v=(\S+)/.exec(done.stdout ?? "")
  return match === null ? undefined : { product: match[1].toLowerCase(), version: match[2] }
}

/** The server made earlier, if it still runs (a folder copied to another machine may not) and has its modules. */
const existing = (server) => {
  const found = versionOf(path.join(home, server.name, `${server.product}-server`))
  const complete = (server.modules ?? []).every(() =>
    fs.existsSync(path.join(home, server.name, "root/usr/lib/redis/modules"))
  )
  return complete && found?.version.startsWith(`${server.version}.`) ? found : undefined
}

const isDebian = () => {
  try {
    return /^ID=("?)debian\1$/m.test(fs.readFileSync("/etc/os-release", "utf8")) && has("apt-get") && has("dpkg-deb")
  } catch {
    return false
  }
}

/** Where this machine's apt takes Debian's main archive from, asked of apt itself. */
const mirrors = (state) => {
  // the empty state folder with --no-release-info lists what is configured, though nothing may have been downloaded yet
  const lines = run("apt-get", [
    "-o",
    `Dir::State=${state}`,
    "indextargets",
    "--no-release-info",
    "--format",
    "$(REPO_URI)|$(RELEASE)|$(COMPONENT)",
    "Identifier: Packages"
  ])
    .trim()
    .split("\n")
    .map((line) => line.split("|"))
  const codename = /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(fs.readFileSync("/etc/os-release", "utf8"))?.[1] ?? "stable"
  const of = (releases) => lines.filter(([, release, component]) => component === "main" && releases.includes(release))
  const found = of([codename, "stable", "testing", "unstable", "sid"]).map(([uri]) => uri)
  if (found.length === 0) throw new Error("apt names no mirror of Debian's main archive")
  return [...new Set(found)]
}

/** An apt that knows these suites only, prefers the first, and keeps everything in its own folder. */
const makeApt = async (folder, suite) => {
  for (const part of ["state/lists/partial", "cache/archives/partial", "debs"]) {
    fs.mkdirSync(path.join(folder, part), { recursive: true })
  }
  const keyring = ["gpg", "pgp"].map((end) => `/usr/share/keyrings/debian-archive-keyring.${end}`).find(fs.existsSync)
  const sources = path.join(folder, "suite.sources")
  const options = [
    "-q",
    "-o",
    `Dir::Etc::sourcelist=${sources}`,
    "-o",
    "Dir::Etc::sourceparts=/dev/null",
    // pins of the machine would choose other versions, and its installed packages play no part
    "-o",
    "Dir::Etc::preferences=/dev/null",
    "-o",
    "Dir::Etc::preferencesparts=/dev/null",
    "-o",
    "Dir::State::status=/dev/null",
    "-o",
    `Dir::State=${path.join(folder, "state")}`,
    "-o",
    `Dir::Cache=${path.join(folder, "cache")}`,
    // container images switch these caches off, and then every call reads the whole list again
    "-o",
    "Dir::Cache::pkgcache=pkgcache.bin",
    "-o",
    "Dir::Cache::srcpkgcache=srcpkgcache.bin",
    "-o",
    "Acquire::Languages=none",
    "-o",
    "Acquire::Retries=3",
    "-o",
    "APT::Update::Error-Mode=any",
    "-o",
    `APT::Default-Release=${suite.split(" ")[0]}`,
    // apt's own user cannot write into this folder
    ...(process.getuid?.() === 0 ? ["-o", "APT::Sandbox::User=root"] : [])
  ]
  const problems = []
  for (const mirror of mirrors(path.join(folder, "state"))) {
    fs.writeFileSync(
      sources,
      `${["Types: deb", `URIs: ${mirror}`, `Suites: ${suite}`, "Components: main"]
        .concat(keyring === undefined ? [] : [`Signed-By: ${keyring}`])
        .join("\n")}\n`
    )
    try {
      await retried(() => run("apt-get", [...options, "update"]))
      return {
        candidate: (name) => /Candidate: (?:\d+:)?(\S+)/.exec(run("apt-cache", [...options, "policy", name]))?.[1],
        download: (names) =>
          retried(() =>
            run("apt-get", [...options, "download", ...names], {
              cwd: path.join(folder, "debs")
            })
          )
      }
    } catch (error) {
      problems.push(error.message)
    }
  }
  throw new Error(problems.join("\n"))
}

/** The library packages that a package names directly; of alternatives the first. */
const libraries = (deb) =>
  `${run("dpkg-deb", ["-f", deb, "Pre-Depends"])},${run("dpkg-deb", ["-f", deb, "Depends"])}`
    .split(",")
    .map(
      (one) =>
        one
          .split("|")[0]
          .trim()
          .split(/[\s(:]/)[0]
    )
    .filter((name) => /^(lib|lua-)/.test(name) || name === "zlib1g")

const walk = (folder) =>
  fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name)
    return entry.isDirectory() ? walk(file) : [file]
  })

/** Downloads and unpacks the server and, round by round, the libraries that its packages ask for. */
const unpack = async (apt, debs, root, server) => {
  const seen = new Set()
  let next = [`${server.product}-server`, `${server.product}-tools`, ...(server.modules ?? [])]
  while (next.length > 0) {
    for (const name of next) seen.add(name)
    await apt.download(next)
    const files = fs.readdirSync(debs).map((file) => path.join(debs, file))
    const names = files.flatMap(libraries)
    for (const file of files) {
      run("dpkg-deb", ["-x", file, root])
      fs.rmSync(file)
    }
    // A virtual package has no candidate. Another package, which is asked for too, provides it.
    next = [...new Set(names)].filter((name) => !seen.has(name) && !/^(\(none\))?$/.test(apt.candidate(name) ?? ""))
  }
  for (const useless of ["usr/share", "etc", "var", "lib/systemd", "usr/lib/systemd"]) {
    fs.rmSync(path.join(root, useless), { recursive: true, force: true })
  }
}

/**
 * Scripts that run the binaries with the libraries beside them. They replace themselves (exec), so a signal sent to the
 * process that was started reaches the server.
 */
const writeLaunchers = (folder, root, server) => {
  const files = walk(root)
  // Older C libraries have it under their own version, `ld-2.31.so`, and a link to it.
  const isLoader = (file) => /^ld-(linux.*\.so\.\d+|[\d.]+\.so)$/.test(path.basename(file))
  const loader = files.find((file) => isLoader(file) && fs.lstatSync(file).isFile())
  if (loader === undefined) throw new Error("the suite's libc6 has no dynamic loader")
  const directories = [...new Set(files.filter((file) => /\.so(\.\d+)*$/.test(file)).map(path.dirname))].filter(
    (directory) => /\/lib\/[^/]+-linux-[^/]+$/.test(directory)
  )
  // The loader of C libraries before 2.33 cannot give the program another name.
  const named = spawnSync(loader, ["--help"], { encoding: "utf8" }).stdout?.includes("--argv0")
    ? ' --argv0 "$self"'
    : ""
  const search = directories.map((directory) => `$here/${path.relative(folder, directory)}`).join(":")
  for (const program of ["server", "cli", "benchmark"].map((end) => `${server.product}-${end}`)) {
    const binary = path.join(root, "usr/bin", program)
    const listed = run(loader, ["--library-path", directories.join(":"), "--list", binary])
    const foreign = listed
      .split("\n")
      .filter(
        (line) => line.includes("=>") && !line.includes(` ${fs.realpathSync(folder)}/`) && !line.includes(` ${folder}/`)
      )
    if (foreign.length > 0) {
      throw new Error(`${program} would run with libraries of this system:\n${foreign.join("\n")}`)
    }
    fs.writeFileSync(
      path.join(folder, program),
      `#!/bin/sh
# made by scripts/servers.mjs
self=$0
if [ -L "$self" ]; then self=$(readlink -f "$self"); fi
here=\${self%/*}
exec "$here/${path.relative(folder, loader)}"${named} --library-path "${search}" "$here/${path.relative(folder, binary)}" "$@"
`,
      { mode: 0o755 }
    )
  }
}

const make = async (server, work) => {
  const problems = []
  for (const suite of server.suites) {
    const folder = path.join(work, server.name)
    try {
      const aptFolder = path.join(work, suite.replace(" ", "-"))
      const apt = await makeApt(aptFolder, suite)
      const candidate = apt.candidate(`${server.product}-server`)
      if (candidate === undefined || !candidate.startsWith(`${server.version}.`)) {
        throw new Error(`has ${server.product} ${candidate ?? "not at all"}`)
      }
      const root = path.join(folder, "root")
      fs.mkdirSync(root, { recursive: true })
      await unpack(apt, path.join(aptFolder, "debs"), root, server)
      writeLaunchers(folder, root, server)
      const made = versionOf(path.join(folder, `${server.product}-server`))
      if (made === undefined) throw new Error("the server does not run here")
      fs.writeFileSync(path.join(folder, "server.json"), `${JSON.stringify({ ...made, suite })}\n`)
      // another run may have been quicker, and its server may be at work
      const other = existing(server)
      if (other !== undefined) return { ...other, suite }
      const target = path.join(home, server.name)
      fs.rmSync(target, { recursive: true, force: true })
      fs.renameSync(folder, target)
      return { ...made, suite }
    } catch (error) {
      fs.rmSync(folder, { recursive: true, force: true })
      problems.push(`  ${suite}: ${error.message}`)
    }
  }
  throw new Error(problems.join("\n"))
}

const main = async () => {
  const required = (process.env.REDIS_SERVERS_REQUIRED ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter(Boolean)
  const unknown = required.filter((name) => !wanted.some((server) => server.name === name))
  if (unknown.length > 0) {
    say(`REDIS_SERVERS_REQUIRED names ${unknown.join(", ")}; known are ${wanted.map(({ name }) => name).join(", ")}`)
    return 1
  }
  const missing = wanted.filter((server) => {
    const found = existing(server)
    if (found !== undefined) say(`${server.name}: ${found.product} ${found.version}, made earlier`)
    return found === undefined
  })
  const isNeeded = ({ name }) => required.length === 0 || required.includes(name)
  if (missing.length === 0) return 0
  if (!isDebian()) {
    say(
      `Not made: ${missing.map(({ name }) => name).join(", ")}. This script unpacks Debian's packages, and this is no Debian.`
    )
    say(
      "Install Redis or Valkey with your system's package manager (redis-server or valkey-server on the PATH), or name"
    )
    say("a server with REDIS_SERVER=/path/to/redis-server: the tests use what they find, and else the embedded server.")
    return missing.some(({ name }) => required.includes(name)) ? 1 : 0
  }
  fs.mkdirSync(home, { recursive: true })
  const work = fs.mkdtempSync(path.join(home, ".making-"))
  let failed = false
  try {
    for (const server of missing) {
      try {
        const made = await make(server, work)
        say(`${server.name}: ${made.product} ${made.version}, from Debian ${made.suite}, in .servers/${server.name}`)
      } catch (error) {
        failed ||= isNeeded(server)
        say(`${server.name}: NOT made`)
        say(error.message)
      }
    }
  } finally {
    fs.rmSync(work, { recursive: true, force: true })
  }
  return failed ? 1 : 0
}

process.exitCode = await main()
