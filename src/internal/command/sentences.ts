/**
 * Errors of servers that are the same word for word whatever was sent. They can be shown as they are, and a script that
 * answers one of them was refused by the server before it ran.
 */

/** What servers call themselves in their errors. */
const products = ["Redis", "Valkey", "KeyDB", "Dragonfly"]

/** One sentence a line; `{server}` is the product's name. */
const lines = (text: string): ReadonlyArray<string> =>
  text
    .trim()
    .split("\n")
    .flatMap((line) => {
      const sentence = line.trim()
      return sentence.includes("{server}")
        ? products.map((product) => sentence.replaceAll("{server}", product))
        : [sentence]
    })

/**
 * The server refuses a command before it executes any of it, and may execute it later. Redis and Valkey also answer these
 * to a command inside of a script, then followed by `script: …`, or without that when the script returns what `redis.pcall`
 * gave it. Since Redis 7.0 they do so only while the script has written nothing.
 */
const refusals = new Set(
  lines(`
    LOADING {server} is loading the dataset in memory
    MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.
    MASTERDOWN Link with MASTER is down and slave-serve-stale-data is set to 'no'.
    MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag is not set on the script.
    CLUSTERDOWN The cluster is down
    CLUSTERDOWN The cluster is down and only accepts read commands
    CLUSTERDOWN Hash slot not served
    TRYAGAIN Multiple keys request during rehashing of slot
    READONLY You can't write against a read only replica.
    READONLY You can't write against a read only slave.
    READONLY Can not run script with write flag on readonly replica
    BUSY {server} is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.
    BUSY {server} is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.
    BUSY {server} is busy running a module command.
    OOM command not allowed when used memory > 'maxmemory'.
    OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'
    NOREPLICAS Not enough good replicas to write.
    MISCONF {server} is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the {server} logs for details about the RDB error.
    MISCONF {server} is configured to save RDB snapshots, but it is currently not able to persist on disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the {server} logs for details about the RDB error.
    MISCONF {server} is configured to save RDB snapshots, but it's currently unable to persist to disk. Writable scripts are blocked. Use 'no-writes' flag for read only scripts.
    UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)`)
)

/** All other errors that quote no argument. */
const others = new Set(
  lines(`
    WRONGTYPE Operation against a key holding the wrong kind of value
    WRONGTYPE Key is not a valid HyperLogLog string value.
    WRONGPASS invalid username-password pair or user is disabled.
    WRONGPASS invalid username-password pair
    NOAUTH Authentication required.
    NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time
    NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time
    NOPROTO unsupported protocol version
    NOSCRIPT No matching script.
    NOSCRIPT No matching script. Please use EVAL.
    NOTBUSY No scripts in execution right now.
    UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.
    UNBLOCKED client unblocked via CLIENT UNBLOCK
    UNBLOCKED the stream key no longer exists
    EXECABORT Transaction discarded because of previous errors.
    CROSSSLOT Keys in request don't hash to the same slot
    BUSYKEY Target key name already exists.
    BUSYGROUP Consumer Group name already exists
    INPROG Failover already in progress
    INVALIDOBJ Corrupted HLL object detected
    ERR syntax error
    ERR no such key
    ERR index out of range
    ERR offset is out of range
    ERR string exceeds maximum allowed size (proto-max-bulk-len)
    ERR string exceeds maximum allowed size (512MB)
    ERR value is not an integer or out of range
    ERR value is out of range
    ERR value is out of range, must be positive
    ERR value is not a valid float
    ERR hash value is not an integer
    ERR hash value is not a float
    ERR resulting score is not a number (NaN)
    ERR increment or decrement would overflow
    ERR increment would produce NaN or Infinity
    ERR decrement would overflow
    ERR bit is not an integer or out of range
    ERR bit offset is not an integer or out of range
    ERR The bit argument must be 1 or 0.
    ERR timeout is not a float or out of range
    ERR timeout is not an integer or out of range
    ERR timeout is negative
    ERR timeout is out of range
    ERR min or max is not a float
    ERR min or max not valid string range item
    ERR weight value is not a float
    ERR numkeys should be greater than 0
    ERR count should be greater than 0
    ERR LIMIT can't be negative
    ERR Number of keys can't be greater than number of args
    ERR Number of keys can't be negative
    ERR source and destination objects are the same
    ERR XX and NX options at the same time are not compatible
    ERR GT, LT, and/or NX options at the same time are not compatible
    ERR INCR option supports a single increment-element pair
    ERR invalid cursor
    ERR invalid longitude,latitude pair
    ERR need numeric radius
    ERR unsupported unit provided. please use M, KM, FT, MI
    ERR Invalid stream ID specified as stream command argument
    ERR The ID specified in XADD is equal or smaller than the target stream top item
    ERR The ID specified in XADD must be greater than 0-0
    ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.
    ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified.
    ERR DUMP payload version or checksum are wrong
    ERR Bad data format
    ERR Invalid TTL value, must be >= 0
    ERR DB index is out of range
    ERR invalid DB index
    ERR MULTI calls can not be nested
    ERR EXEC without MULTI
    ERR DISCARD without MULTI
    ERR WATCH inside MULTI is not allowed
    ERR Command not allowed inside a transaction
    ERR max number of clients reached
    ERR max number of clients + cluster connections reached
    ERR This instance has cluster support disabled
    ERR Target key name already exists.`)
)

/** Whether an error is a server's own sentence, which quotes no argument. */
export const isSentence = (message: string): boolean => refusals.has(message) || others.has(message)

/** Whether an error is the sentence by which a server refuses a command before it executes any of it. */
export const isRefusalSentence = (message: string): boolean => refusals.has(message)
