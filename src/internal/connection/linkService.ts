/**
 * A link as the service that commands need, for its owner or for the borrower of a lease.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type ConnectionError, UsageError } from "../../RedisError.js"
import type { About, RedisService, Status } from "../command/model.js"
import { callbackStream, type Subscribable, subscribable } from "../effect/callbackStream.js"
import type { CloseReason } from "../engine/transport.js"
import { closeError } from "../request/failure.js"
import { Holder, type Link } from "./link.js"

/** The holder of a link. `released` says whether its lease is over: then nothing that it sends reaches the link. */
export const holderOf = (released: () => boolean): Holder =>
  new Holder(() =>
    released()
      ? new UsageError({
          reason: "released",
          message: "this connection was given back to its pool when its scope closed; acquire another"
        })
      : undefined
  )

/** The service of one holder. A lease of it is the same link with a holder of its own, so that its WATCH is told apart. */
export const serviceOf = (link: Link, holder: Holder): RedisService => {
  const { about, status } = factsOf(link)
  return {
    send: (command) => link.send(command, holder),
    sendAll: (commands, batch) => link.sendAll(commands, batch, holder),
    lease: Effect.sync(() => {
      const nested = new Holder(holder.refusal)
      const leased: RedisService = {
        send: (command) => link.send(command, nested),
        sendAll: (commands, batch) => link.sendAll(commands, batch, nested),
        lease: Effect.sync(() => leased),
        status,
        about
      }
      return leased
    }),
    status,
    about
  }
}

/** What all leases of a link have in common. Made once for each link. */
interface LinkFacts {
  readonly id: Option.Option<number>
  readonly protocol: Effect.Effect<2 | 3>
  readonly db: Effect.Effect<number>
  readonly closeReason: Effect.Effect<Option.Option<ConnectionError>>
  readonly status: Subscribable<Status>
  readonly about: About
}

const facts = new WeakMap<Link, LinkFacts>()

export const factsOf = (link: Link): LinkFacts => {
  const known = facts.get(link)
  if (known !== undefined) {
    return known
  }
  const made: LinkFacts = {
    id: Option.fromNullable(link.id),
    protocol: Effect.sync(() => link.session.protocol),
    db: Effect.sync(() => link.session.database),
    closeReason: Effect.sync(() =>
      Option.map(Option.fromNullable(link.engine.closed), (close) => closeError(close, "unsent", link.address))
    ),
    status: statusOf(link),
    about: { server: link.address, client: link.options.clientName, insight: link.options.observer?.insight }
  }
  facts.set(link, made)
  return made
}

/** A connection is ready until it ends. It is never replaced. */
const statusOf = (link: Link): Subscribable<Status> => {
  const closed = (close: CloseReason): Status => ({ _tag: "Closed", cause: closeError(close, "unsent", link.address) })
  return subscribable(
    () => (link.engine.closed === undefined ? ready : closed(link.engine.closed)),
    callbackStream<Status>((emit) => {
      const end = (close: CloseReason): void => {
        emit.single(closed(close))
        emit.end()
      }
      if (link.engine.closed !== undefined) {
        end(link.engine.closed)
        return () => {}
      }
      emit.single(ready)
      return link.onClose(end)
    }, "unbounded")
  )
}

const ready: Status = { _tag: "Ready" }
