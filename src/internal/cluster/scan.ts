/**
 * Scans over a cluster. Every element that is there from beginning to end is given at least once, also while slots move and
 * nodes fail over; some may be given twice.
 *
 * A scan of keys goes over the nodes one by one. A slot is done when the node that owned it when its scan ended owned it from
 * the start of that scan, and was not migrating it at the end. The keys of a slot that was being migrated are on two nodes:
 * a key that left before the scan of the source is on the target by then, so the target is scanned after the source. A slot
 * that moved meanwhile is scanned again, at its new owner.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Stream from "effect/Stream"
import type { RedisError } from "../../RedisError.js"
import { beginning, fetch, type Position } from "../client/scans.js"
import type { ScanCommand } from "../command/model.js"
import { make as makeCommand } from "../command/raw.js"
import { paginate } from "../effect/pages.js"
import * as Timers from "../engine/timers.js"
import type { Address } from "../nodes/address.js"
import type { Member } from "../nodes/member.js"
import type { Reply } from "../resp/values.js"
import { noNode } from "./batch.js"
import { slotOfFirstKey } from "./plan.js"
import { redirectionOf } from "./redirection.js"
import type { Router } from "./router.js"
import { slots } from "./slot.js"
import { readView } from "./view.js"

export const scanOver =
  (router: Router) =>
  <A>(page: ScanCommand<A>): Stream.Stream<A, RedisError> => {
    const slot = slotOfFirstKey([page("0")])
    return slot === undefined ? allKeys(router, page) : ofKey(router, page, slot)
  }

/** How long nothing may succeed, in milliseconds, before a scan fails with the last error. */
const patience = 10_000

/** How long to wait before a scan tries again, in milliseconds. */
const pauseMillis = 100

/**
 * How far a scan has come, and for how long it has come no further. The time in which its consumer wants nothing does not
 * count; and pages that it has seen before, because it began again, are no progress.
 */
class Progress {
  private since = Timers.now()
  private left = Timers.now()
  private furthest = 0

  /** Whether it goes on after an error. */
  get mayFollow(): boolean {
    return Timers.now() - this.since < patience
  }

  /** The consumer wants a page. */
  asked(): void {
    this.since += Timers.now() - this.left
  }

  /** There is a page, the so many-th since the beginning. */
  reached(pages: number): void {
    this.left = Timers.now()
    if (pages > this.furthest) {
      this.furthest = pages
      this.since = this.left
    }
  }

  /** A part is done, and the next one begins. */
  ended(): void {
    this.left = Timers.now()
    this.since = this.left
    this.furthest = 0
  }
}

const pause: Effect.Effect<void> = Effect.async<void>((resume) => {
  const timer = Timers.setTimeout(() => resume(Effect.void), pauseMillis)
  return Effect.sync(() => Timers.clearTimeout(timer))
})

/** Whether another attempt may succeed: the node was lost or replaced, or the slot is elsewhere now. */
const passes = (error: RedisError): boolean =>
  error._tag === "ConnectionError" ||
  (error._tag === "ReplyError" && redirectionOf(Redacted.value(error.raw)) !== undefined)

/** A scan of one key begins again where the slot is now: a cursor means nothing to another node. */
const ofKey = <A>(router: Router, page: ScanCommand<A>, slot: number): Stream.Stream<A, RedisError> => {
  const progress = new Progress()
  const next = (
    position: Position,
    pages = 0
  ): Effect.Effect<readonly [ReadonlyArray<A>, Option.Option<readonly [Position, number]>], RedisError> =>
    Effect.suspend(() => {
      const member = router.ownerOf(slot)
      return member === undefined
        ? Effect.fail(noNode(page("0").name))
        : Effect.flatMap(member.ready, ({ service }) => fetch(service, page(position.cursor), position))
    }).pipe(
      Effect.map(({ items, next }) => {
        progress.reached(pages + 1)
        return [items, next.cursor === "0" ? Option.none() : Option.some([next, pages + 1] as const)] as const
      }),
      Effect.catchAll((error) =>
        passes(error) && progress.mayFollow
          ? Effect.suspend(() => {
              follow(router, error, slot)
              return Effect.zipRight(pause, next(beginning))
            })
          : Effect.fail(error)
      )
    )
  return paginate<readonly [Position, number], A, RedisError, never>([beginning, 0], ([position, pages]) => {
    progress.asked()
    return next(position, pages)
  })
}

const follow = (router: Router, error: RedisError, slot: number): void => {
  router.doubt()
  const redirection = error._tag === "ReplyError" ? redirectionOf(Redacted.value(error.raw)) : undefined
  const owner = router.ownerOf(slot)
  if (redirection?._tag === "Moved" && owner !== undefined) {
    router.follow(redirection, owner, false)
  }
}

/** A pass over one node. */
interface Pass {
  readonly member: Member
  /** The slots that count when the pass ends: those that it owned at the start, and those whose source was passed before. */
  readonly owned: ReadonlyArray<number>
  readonly imported: ReadonlyArray<number>
  position: Position
  /** How many pages it has. */
  pages: number
}

const allKeys = <A>(router: Router, page: ScanCommand<A>): Stream.Stream<A, RedisError> => {
  const done = new Uint8Array(slots)
  /** Slots whose source was passed while it migrated them, with the target that is to be passed. */
  const pending = new Map<number, Address>()
  const progress = new Progress()
  const begin = (): Pass | "waiting" | undefined => {
    const passes = new Map<Member, Array<number>>()
    let isDone = true
    for (let slot = 0; slot < slots; slot++) {
      if (done[slot] === 0) {
        isDone = false
        const target = pending.get(slot)
        const member = target === undefined ? router.ownerOf(slot) : router.memberFor(target)
        if (member !== undefined) {
          const list = passes.get(member)
          list === undefined ? passes.set(member, [slot]) : list.push(slot)
        }
      }
    }
    if (isDone) {
      return undefined
    }
    // Nodes that own slots come first: targets are to be passed after their sources.
    for (const targets of [false, true]) {
      for (const [member, all] of passes) {
        const owned = all.filter((slot) => !pending.has(slot))
        if (targets || owned.length > 0) {
          return { member, owned, imported: all.filter((slot) => pending.has(slot)), position: beginning, pages: 0 }
        }
      }
    }
    return "waiting"
  }
  /** Marks the slots that are done. Returns whether there is one. */
  const finish = (pass: Pass, end: { readonly view: Exit.Exit<Reply, RedisError>[] }): boolean => {
    const [slotsReply, nodesReply] = end.view
    const view =
      slotsReply !== undefined && Exit.isSuccess(slotsReply)
        ? readView(
            slotsReply.value,
            nodesReply !== undefined && Exit.isSuccess(nodesReply) ? nodesReply.value : undefined,
            pass.member.place
          )
        : "no view"
    if (typeof view === "string") {
      return false
    }
    const before = pending.size
    let isProgress = pass.imported.length > 0
    const merged = router.topology.merge(view)
    if (!merged.equals(router.topology)) {
      router.adopt(merged)
    }
    for (const slot of pass.owned) {
      if (router.ownerOf(slot) === pass.member) {
        const target = view.migrating.get(slot)
        if (target === undefined) {
          done[slot] = 1
          isProgress = true
        } else {
          const address = view.addresses.get(target)
          // Where the target is not known, the source is scanned again.
          pending.set(slot, address ?? pass.member.place)
        }
      }
    }
    for (const slot of pass.imported) {
      pending.delete(slot)
      done[slot] = 1
    }
    return isProgress || pending.size > before
  }
  type Step = readonly [ReadonlyArray<A>, Option.Option<Pass | undefined>]
  const next = (given: Pass | undefined): Effect.Effect<Step, RedisError> =>
    Effect.suspend((): Effect.Effect<Step, RedisError> => {
      const pass = given ?? begin()
      if (pass === undefined) {
        return Effect.succeed([[], Option.none()])
      }
      if (pass === "waiting") {
        router.doubt()
        return progress.mayFollow ? Effect.zipRight(pause, next(undefined)) : Effect.fail(noNode(page("0").name))
      }
      return Effect.flatMap(pass.member.ready, ({ service }) =>
        fetch(service, page(pass.position.cursor), pass.position)
      ).pipe(
        Effect.flatMap(({ items, next: position }): Effect.Effect<Step, RedisError> => {
          const pages = pass.pages + 1
          progress.reached(pages)
          if (position.cursor !== "0") {
            return Effect.succeed([items, Option.some({ ...pass, position, pages })])
          }
          return Effect.map(pass.member.sendAll(viewCommands, { atomic: false }), ({ exits }): Step => {
            if (finish(pass, { view: exits as Array<Exit.Exit<Reply, RedisError>> })) {
              progress.ended()
            }
            return [items, Option.some(undefined)]
          })
        }),
        Effect.catchAll((error) => {
          router.doubt()
          // Another run of the server, or another owner: what was not done is scanned again.
          return passes(error) && progress.mayFollow ? Effect.zipRight(pause, next(undefined)) : Effect.fail(error)
        })
      )
    })
  return paginate<Pass | undefined, A, RedisError, never>(undefined, (pass) => {
    progress.asked()
    return next(pass)
  })
}

const viewCommands = [makeCommand("CLUSTER SLOTS"), makeCommand("CLUSTER NODES")]
