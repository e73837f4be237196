/**
 * Writing the data to disk, and shutting the server down.
 *
 * @see https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Option from "effect/Option"
import { type AtMostOne, args } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"

/**
 * The current state of BACKUP. Its essential field is `state`.
 *
 * @since 0.1.0
 * @category models
 */
export interface BackupStatus {
  /** `idle`, `pending`, `snapshotting`, `incrementing`, `sealed`, `failed`. */
  readonly state: string
  /** Why the backup failed; empty when it did not fail. */
  readonly error: Option.Option<string>
  /** `None` before the first backup. */
  readonly startTime: Option.Option<DateTime.Utc>
  /** `None` while the backup is not sealed. */
  readonly endTime: Option.Option<DateTime.Utc>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * How a server shuts down; or, with `abort`, cancels a shutdown in progress.
 *
 * @since 0.1.0
 * @category options
 */
export type ShutdownOptions =
  | (AtMostOne<{
      /** Writes no last snapshot, even when snapshots are configured. */
      readonly nosave: true
      /** Writes a last snapshot, even when no snapshots are configured. */
      readonly save: true
    }> & {
      /** Does not wait for replicas. Redis 7.0. */
      readonly now?: boolean | undefined
      /** Ignores errors, such as disk errors. Redis 7.0. */
      readonly force?: boolean | undefined
      /** Refuses when the shutdown would lose data: on a primary of a cluster that serves slots. Valkey 9.0. */
      readonly safe?: boolean | undefined
      /** Fails over to the best replica first. Valkey 9.0. */
      readonly failover?: boolean | undefined
      readonly abort?: undefined
    })
  | {
      /** Cancels a shutdown that is waiting for replicas. Redis 7.0. */
      readonly abort: true
      readonly nosave?: undefined
      readonly save?: undefined
      readonly now?: undefined
      readonly force?: undefined
      readonly safe?: undefined
      readonly failover?: undefined
    }

/**
 * The commands on persistence.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerPersistenceCommands {
  /**
   * Aborts a backup that is not sealed.
   *
   * O(1). Since Redis 8.10.0; not in Valkey.
   */
  readonly backupAbort: () => RedisCommand<void>

  /**
   * Removes the files of a backup that is sealed or has failed.
   *
   * O(1). Since Redis 8.10.0; not in Valkey.
   */
  readonly backupCleanup: () => RedisCommand<void>

  /**
   * The paths of those files of the backup that will not change any more.
   *
   * O(1). Since Redis 8.10.0; not in Valkey.
   */
  readonly backupList: () => RedisCommand<Array<string>>

  /**
   * Seals a backup: its files are then complete.
   *
   * O(1). Since Redis 8.10.0; not in Valkey.
   */
  readonly backupSeal: () => RedisCommand<void>

  /**
   * Starts a backup: a snapshot, and all later writes.
   *
   * O(1). Since Redis 8.10.0; not in Valkey.
   */
  readonly backupStart: () => RedisCommand<void>

  /**
   * The current state of BACKUP.
   *
   * O(1). Since Redis 8.10.0; not in Valkey.
   */
  readonly backupStatus: () => RedisCommand<BackupStatus>

  /**
   * Rewrites the append-only file in the background. Returns the server's text: started, or scheduled.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly bgrewriteaof: () => RedisCommand<string>

  /**
   * Writes a snapshot in the background. Returns the server's text: started, scheduled, or cancelled. With `schedule`,
   * the snapshot waits for a running rewrite of the append-only file; with `cancel`, a snapshot in progress is
   * cancelled.
   *
   * O(1). Since Redis 1.0.0; `schedule` since 3.2.2; `cancel` since Valkey 8.1.0.
   */
  readonly bgsave: (options?: AtMostOne<{ readonly schedule: true; readonly cancel: true }>) => RedisCommand<string>

  /**
   * The time of the last snapshot, or of the server's start when there is none.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly lastsave: () => RedisCommand<DateTime.Utc>

  /**
   * Writes a snapshot and blocks all other clients meanwhile. Prefer {@link bgsave}.
   *
   * O(N) in the keys. Since Redis 1.0.0.
   */
  readonly save: () => RedisCommand<void>

  /**
   * Shuts the server down. Succeeds when the connection closes; fails when the server refuses.
   *
   * O(N) in the keys when it saves. Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * yield* Redis.shutdown({ save: true, now: true })
   * ```
   */
  readonly shutdown: (options?: ShutdownOptions) => RedisCommand<void>
}

const BACKUP_ABORT = define("BACKUP ABORT")
const BACKUP_CLEANUP = define("BACKUP CLEANUP")
const BACKUP_LIST = define("BACKUP LIST")
const BACKUP_SEAL = define("BACKUP SEAL")
const BACKUP_START = define("BACKUP START")
const BACKUP_STATUS = define("BACKUP STATUS")
const BGREWRITEAOF = define("BGREWRITEAOF")
const BGSAVE = define("BGSAVE")
const LASTSAVE = define("LASTSAVE")
const SAVE = define("SAVE")
const SHUTDOWN = define("SHUTDOWN")
/** SHUTDOWN ABORT succeeds with a reply; a closed connection is a failure. */
const SHUTDOWN_ABORT = define("SHUTDOWN", { traits: { endsConnection: false } })

const status = Report.struct("_", {
  state: Report.essential(Report.text),
  error: Report.optional(Report.text),
  startTime: Report.optionalUnless(0, Report.timeSeconds),
  endTime: Report.optionalUnless(0, Report.timeSeconds)
})

/** @internal */
export const make = (): ServerPersistenceCommands => ({
  backupAbort: () => BACKUP_ABORT(args(), Decode.ok),
  backupCleanup: () => BACKUP_CLEANUP(args(), Decode.ok),
  backupList: () => BACKUP_LIST(args(), Report.texts),
  backupSeal: () => BACKUP_SEAL(args(), Decode.ok),
  backupStart: () => BACKUP_START(args(), Decode.ok),
  backupStatus: () => BACKUP_STATUS(args(), status),
  bgrewriteaof: () => BGREWRITEAOF(args(), Report.text),
  bgsave: (options) =>
    BGSAVE(
      args()
        .atMostOne(options, ["schedule", "cancel"])
        .flag("SCHEDULE", options?.schedule)
        .flag("CANCEL", options?.cancel),
      Report.text
    ),
  lastsave: () => LASTSAVE(args(), Report.timeSeconds),
  save: () => SAVE(args(), Decode.ok),
  shutdown: (options) =>
    (options?.abort === true ? SHUTDOWN_ABORT : SHUTDOWN)(
      args()
        .atMostOne(options, ["nosave", "save", "abort"])
        .flag("NOSAVE", options?.nosave)
        .flag("SAVE", options?.save)
        .flag("NOW", options?.now)
        .flag("FORCE", options?.force)
        .flag("SAFE", options?.safe)
        .flag("FAILOVER", options?.failover)
        .flag("ABORT", options?.abort),
      Decode.ok
    )
})
