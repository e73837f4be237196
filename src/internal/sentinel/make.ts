/**
 * Builds a client that follows the master of a set of sentinels: one node, as for one server, whose dial leads to whoever is the
 * master, and replicas that are read from.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type RedisError, UsageError } from "../../RedisError.js"
import { makeNode } from "../client/node.js"
import { durationOr, nodeSettings, type NodeOptions as Shared } from "../client/nodeOptions.js"
import type { DurationWithUnit } from "../command/args.js"
import type { ReadFrom, RedisService } from "../command/model.js"
import * as Credentials from "../connection/credentials.js"
import { makeDial } from "../connection/dial.js"
import { connect } from "../connection/lazyNodeTransport.js"
import { observing } from "../connection/observing.js"
import * as Options from "../connection/options.js"
import { reconnectSettings } from "../connection/pacer.js"
import { expectRole } from "../connection/role.js"
import { forkerIn } from "../effect/fork.js"
import { type Address, longestSearch, type Place, showAddress, within } from "../nodes/address.js"
import { checkReadFrom } from "../nodes/readers.js"
import { Replicated } from "../nodes/replicated.js"
import { idleAfterOf, makeOver, type RedisPubSubService } from "../pubsub/service.js"
import { MasterDial, MasterTracker } from "./master.js"
import { Sentinels } from "./sentinels.js"
import { Poll, Watch } from "./watch.js"

/** The options of one server that a client of sentinels has, too. */
export interface NodeOptions
  extends Shared,
    Omit<Options.ConnectionOptions, "url" | "host" | "port" | "path" | "expect"> {
  readonly lazy?: boolean | undefined
}

/** Where a sentinel is. */
export type Seed = Place

/** How the client identifies itself to sentinels. */
export interface SentinelAccess {
  readonly username?: string | undefined
  readonly password?: Redacted.Redacted<string> | undefined
  readonly credentials?: Options.CredentialsInput | undefined
  readonly tls?: boolean | Options.TlsOptions | undefined
}

export interface SentinelOptions extends NodeOptions {
  readonly name: string
  readonly sentinels: ReadonlyArray<Seed> | Effect.Effect<ReadonlyArray<Seed>, RedisError>
  readonly sentinel?: SentinelAccess | undefined
  readonly nodeAddress?:
    | ((address: {
        readonly host: string
        readonly port: number
      }) => { readonly host: string; readonly port: number } | undefined)
    | undefined
  readonly readFrom?: ReadFrom | undefined
  readonly maxReplicaLag?: DurationWithUnit | undefined
  readonly sentinelTimeout?: DurationWithUnit | undefined
}

/** The client with what is behind it. */
export interface Client {
  readonly service: RedisService
  readonly pubsub: RedisPubSubService
  readonly tracker: MasterTracker
  readonly sentinels: Sentinels
}

export const make = (options: SentinelOptions): Effect.Effect<Client, RedisError, Scope.Scope> =>
  Effect.gen(function* () {
    const { name, nodeAddress, sentinels: seeds } = options
    if (typeof name !== "string" || !/^[!-~]+$/.test(name)) {
      return yield* invalid("name must be the name of the master, as the sentinels know it")
    }
    const resolved = yield* Options.resolve({ ...connectionOptions(options), host: name, expect: "node" })
    const source = yield* Credentials.source(resolved)
    const searchTimeout = Math.min(resolved.connectTimeout, longestSearch)
    const given = Effect.isEffect(seeds) ? yield* within(seeds, searchTimeout) : seeds
    const first = yield* resolveSeeds(options, given)
    const settings = yield* nodeSettings(options, { lazy: options.lazy === true, followsBlocked: true })
    const readFrom = yield* checkReadFrom(options.readFrom ?? "primary")
    const maxReplicaLag = yield* durationOr(options.maxReplicaLag, "maxReplicaLag", Infinity)
    const timeout = yield* durationOr(options.sentinelTimeout, "sentinelTimeout", 1_000)
    const idleAfter = yield* idleAfterOf(options)
    const observer = yield* observing(options, resolved, name)
    const fork = yield* forkerIn(yield* Effect.scope)
    const access = yield* Credentials.source(first.options)
    // It is called while a message is read, where nobody would catch what it throws.
    const located = (address: Address): Address => {
      try {
        return nodeAddress?.(address) ?? address
      } catch (defect) {
        fork(Effect.logError("nodeAddress threw, so the address is taken as it is", defect))
        return address
      }
    }
    const dialToSentinel = ({ host, port }: Address) =>
      // Without an observer: a connection to a sentinel is not one of the client's, and each question opens one.
      makeDial({ options: { ...access.options, endpoint: { _tag: "Tcp", host, port } }, connect })
    const sentinels = new Sentinels({
      name,
      seeds: Effect.isEffect(seeds)
        ? Effect.flatMap(within(seeds, searchTimeout), (seeds) =>
            Effect.map(resolveSeeds(options, seeds), ({ seeds }) => seeds)
          )
        : Effect.succeed(first.seeds),
      dialTo: dialToSentinel,
      located,
      timeout
    })
    const dials: Array<MasterDial> = []
    // The node is made with the first answers of the sentinels, before there is somebody to read from replicas.
    let onReplicas = (): void => {}
    const onSwitch: Array<() => void> = []
    const tracker: MasterTracker = new MasterTracker(
      name,
      sentinels,
      () => {
        // First of all, because nothing may be written to the former master any more.
        for (const listener of onSwitch) {
          listener()
        }
        for (const dial of dials) {
          dial.switched()
        }
        const { master } = tracker
        if (master !== undefined) {
          fork(
            Effect.annotateLogs(Effect.logWarning(`The master ${name} is ${showAddress(master)} now`), {
              "server.address": showAddress(master),
              ...(resolved.clientName === undefined ? {} : { "redis.client.name": resolved.clientName })
            })
          )
        }
      },
      () => onReplicas()
    )
    const dialToMaster = (options: Options.ResolvedOptions): MasterDial => {
      const dial = new MasterDial(tracker, { options, connect, observer })
      dials.push(dial)
      return dial
    }
    const poll: Poll = new Poll({
      ask: Effect.matchEffect(sentinels.ask, {
        onFailure: (error) => Effect.logDebug(`No sentinel could be asked: ${error.message}`),
        onSuccess: (answers) =>
          Effect.sync(() => {
            tracker.learn(answers)
            watch.follow(sentinels.all)
          })
      }),
      fork
    })
    const watch: Watch = new Watch({
      name,
      dialTo: dialToSentinel,
      located,
      announced: (from, to) => {
        if (!tracker.announced(from, to)) {
          poll.soon()
        }
      },
      doubt: poll.soon,
      fork
    })
    yield* Effect.addFinalizer(() => {
      poll.end()
      return watch.close
    })
    const node = yield* makeNode(dialToMaster(source.options), settings)
    onSwitch.push(() => node.leave("another server has become the master"))
    const replicated: Replicated = new Replicated({
      primary: node,
      replyTimeout: resolved.replyTimeout,
      observer,
      address: name,
      maxRetries: settings.maxRetries,
      maxReplicaLag,
      queueBounds: source.options.queueBounds,
      open: ({ host, port }) =>
        makeNode(
          makeDial({
            options: { ...source.options, endpoint: { _tag: "Tcp", host, port } },
            connect,
            observer,
            check: expectRole("replica")
          }),
          { ...settings, lazy: true }
        ),
      doubt: poll.soon,
      fork
    })
    yield* Effect.addFinalizer(() => replicated.close)
    source.onRotate(() => {
      node.renew()
      replicated.renew()
    })
    onReplicas = () => replicated.setReplicas(tracker.replicas)
    onReplicas()
    const pubsub = yield* makeOver(dialToMaster({ ...source.options, encoding: "utf8" }), {
      reconnect: reconnectSettings(options),
      idleAfter,
      onRotate: source.onRotate,
      onLeave: (leave) => {
        onSwitch.push(() => leave("another server has become the master"))
      }
    })
    watch.follow(sentinels.all.length > 0 ? sentinels.all : first.seeds)
    poll.start()
    return { service: replicated.service(readFrom), pubsub, tracker, sentinels }
  })

/** The options that hold for the connections to data nodes. */
const connectionOptions = ({
  maxReplicaLag: _,
  name: __,
  nodeAddress: ___,
  readFrom: ____,
  sentinel: _____,
  sentinelTimeout: ______,
  sentinels: _______,
  ...options
}: SentinelOptions): Options.ConnectionOptions => options

interface Seeds {
  readonly seeds: ReadonlyArray<Address>
  readonly options: Options.ResolvedOptions
}

/**
 * Checks where sentinels are. URLs may hold the user and the password of the sentinels; nothing of the data nodes' is sent
 * there but whether and how TLS is used.
 */
const resolveSeeds = (
  { clientName, connectTimeout, family, protocol, sentinel = {}, tls }: SentinelOptions,
  given: ReadonlyArray<Seed>
): Effect.Effect<Seeds, UsageError> =>
  Effect.gen(function* () {
    if (!Array.isArray(given) || given.length === 0) {
      return yield* invalid("sentinels must name at least one sentinel")
    }
    const seeds: Array<Address> = []
    let options: Options.ResolvedOptions | undefined
    const wanted = sentinel.tls ?? (tls === false ? undefined : tls)
    for (const seed of given as ReadonlyArray<Seed>) {
      const text = Redacted.isRedacted(seed) ? Redacted.value(seed) : seed
      const place = typeof text === "string" && !text.includes("://") ? yield* readPlace(text) : undefined
      const where =
        typeof seed !== "string" && !Redacted.isRedacted(seed)
          ? { host: seed.host, port: seed.port ?? sentinelPort }
          : (place ?? { url: seed })
      const one = yield* Options.resolve({
        ...where,
        // Also for a redis:// URL: a password must not go in the clear where the master is reached over TLS.
        ...(wanted === undefined ? {} : { tls: wanted }),
        ...(sentinel.username === undefined ? {} : { username: sentinel.username }),
        ...(sentinel.password === undefined ? {} : { password: sentinel.password }),
        ...(sentinel.credentials === undefined ? {} : { credentials: sentinel.credentials }),
        clientName,
        connectTimeout,
        family,
        protocol,
        pingInterval: "5 seconds",
        unresponsiveTimeout: "5 seconds",
        expect: "node"
      })
      if (one.endpoint._tag === "Unix") {
        return yield* invalid("sentinels are reached by host and port, not by the path of a socket")
      }
      const secret = ({ password }: Options.ResolvedOptions) =>
        password === undefined ? undefined : Redacted.value(password)
      options ??= one
      if (
        one.username !== options.username ||
        secret(one) !== secret(options) ||
        (one.tls === undefined) !== (options.tls === undefined)
      ) {
        return yield* invalid("the URLs of sentinels must agree on user, password and TLS")
      }
      seeds.push({ host: one.endpoint.host, port: one.endpoint.port })
    }
    return { seeds, options: options as Options.ResolvedOptions }
  })

const sentinelPort = 26_379

/** `host`, `host:port`, `[::1]` or `[::1]:port`. */
const readPlace = (text: string): Effect.Effect<Address, UsageError> => {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-f:.%]+)\]|([^\s:/@[\]]+))(?::(\d{1,5}))?$/i.exec(text) ?? []
  const host = bracketed ?? plain
  return host === undefined
    ? invalid("a sentinel must be given as host:port, as a URL, or as { host, port }")
    : Effect.succeed({ host, port: port === undefined ? sentinelPort : Number(port) })
}

const invalid = (message: string): Effect.Effect<never, UsageError> =>
  Effect.fail(new UsageError({ reason: "invalidOptions", message }))
