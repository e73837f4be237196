/**
 * The incremental RESP2/RESP3 parser: it turns bytes into values, and depends neither on sockets, nor on commands, nor
 * on Effect.
 *
 * - It is iterative: open aggregates are a linked list of `Frame`s, not calls on JavaScript's stack.
 * - Each byte of a value's body is read once, however the bytes are split into chunks. Only the header of an element
 *   (`$123\r\n`, at most 64 bytes) is read again when a chunk ends inside it.
 * - Limits are checked as soon as a length is read, before memory is allocated for it.
 * - The first error is final: after it the parser accepts no more bytes.
 * - Pushes and attributes go to the handler as soon as they are complete, and never become elements of the aggregate
 *   around them.
 */
import { longestString, nameDecodeStrict, utf8Decode, utf8DecodeStrict, utf8Escape } from "./text.js"
import { Attribute, ErrorReply, MapReply, Push, type Reply, SetReply, Unreadable, VerbatimString } from "./values.js"

/** Receives the parsed values. A handler may call {@link Parser.stop} to end the parse of the current chunk. */
export interface ParserHandler {
  readonly onReply: (reply: Reply) => void
  readonly onPush: (push: Push) => void
  readonly onAttribute: (attribute: Attribute) => void
}

export interface ParserLimits {
  readonly maxBulkLength: number
  readonly maxAggregateLength: number
  readonly maxDepth: number
  readonly maxBufferedBytes: number
}

export const defaultLimits: ParserLimits = {
  maxBulkLength: 512 * 1024 * 1024,
  maxAggregateLength: 64 * 1024 * 1024,
  maxDepth: 128,
  maxBufferedBytes: 1024 * 1024 * 1024
}

/** Why the bytes are not valid RESP. The text never contains bytes of a payload. */
export class ParseFailure {
  /** Whether it was met inside of a push, so that no reply is to blame. */
  inPush = false
  constructor(readonly reason: string) {}
}

const CR = 13
const LF = 10
const PLUS = 43 // +
const MINUS = 45 // -
const COLON = 58 // :
const DOLLAR = 36 // $
const ASTERISK = 42 // *
const UNDERSCORE = 95 // _
const HASH = 35 // #
const COMMA = 44 // ,
const PAREN = 40 // (
const BANG = 33 // !
const EQUALS = 61 // =
const PERCENT = 37 // %
const TILDE = 126 // ~
const PIPE = 124 // |
const GREATER = 62 // >
const SEMICOLON = 59 // ;
const DOT = 46 // .
const QUESTION = 63 // ?
const LETTER_F = 102
const LETTER_T = 116
const LETTER_X = 120

/** The divisors that {@link Parser.plainDouble} needs. */
const powersOfTen = Array.from({ length: 16 }, (_, i) => 10 ** i)

/**
 * An upper bound for the header of an element: the longest is an integer of 20 characters with its type byte and CRLF.
 */
const maxHeader = 64

const doublePattern = /^[+-]?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|inf|nan)$/
const bigNumberPattern = /^[+-]?\d+$/
/** `BigInt(text)` takes more than linear time, and real servers send fewer digits than this. */
const maxBigNumberDigits = 20_000
/** The longest `long double` of C has about 5000 characters when printed in full. */
const maxDoubleLength = 8 * 1024
/**
 * When `push` makes an array longer than about 112 million elements, V8 ends the process, and nothing can catch that.
 */
const mostElements = 100_000_000

const empty = new Uint8Array(0)

/** Arrays up to this length are allocated at once; longer ones grow as their elements arrive. */
const mostPrepared = 1024

/**
 * An open aggregate; `outer` is the aggregate around it. `length` is -1 for a streamed aggregate, which ends with `.`.
 */
class Frame {
  /**
   * A small array is allocated with its final size, because a growing array reserves room for 17 elements at the first
   * `push`.
   */
  readonly items: Array<Reply>
  filled = 0
  constructor(
    readonly type: number,
    readonly length: number,
    readonly outer: Frame | undefined
  ) {
    this.items = length > 0 && length <= mostPrepared ? new Array<Reply>(length) : []
  }
}

/** What the next bytes are: an element, the rest of a line, or the rest of a bulk body. */
const enum State {
  Element,
  Line,
  Body
}

/**
 * Collects bytes that arrive in pieces, in one array that doubles as it grows. With an array for each piece, pieces of
 * one byte would take a hundred times their size.
 */
class Pieces {
  bytes: Uint8Array = empty
  length = 0

  append(bytes: Uint8Array, from: number, to: number): void {
    const length = this.length + (to - from)
    if (length > this.bytes.length) {
      const grown = allocate(Math.max(length, this.bytes.length * 2, 64))
      grown.set(this.bytes)
      this.bytes = grown
    }
    if (to - from === 1) {
      this.bytes[this.length] = bytes[from] as number
    } else {
      this.bytes.set(bytes.subarray(from, to), this.length)
    }
    this.length = length
  }
}

export class Parser {
  /** Whether bulk strings of replies become text or bytes. It is read for each bulk string. */
  text: boolean
  /** Whether bulk strings inside pushes become text or bytes. */
  pushText: boolean
  failure: ParseFailure | undefined

  private stopped = false
  private openPushes = 0
  private state: State = State.Element
  /** The innermost open aggregate, and the number of open aggregates (`depth`). */
  private frame: Frame | undefined
  private depth = 0

  /** When the last chunk ended inside the header of an element: the bytes of that header. */
  private rest: Uint8Array | undefined

  private lineType = 0
  private linePieces = new Pieces()
  private lineSawCR = false

  private bodyType = 0
  private body: Uint8Array = empty
  private bodyLength = 0
  private bodyFilled = 0
  /** Whether `body` is the reusable array, which must not become part of a reply. */
  private bodyLent = false

  /** The bytes received so far of an open streamed string (`$?`). */
  private stringParts: Pieces | undefined

  /**
   * The number of bytes of the current value in earlier chunks, and the position where the value continues in this
   * chunk (`start`).
   */
  private buffered = 0
  private start = 0

  private readonly limits: ParserLimits

  constructor(
    private readonly handler: ParserHandler,
    limits: ParserLimits = defaultLimits,
    options?: { readonly text?: boolean | undefined; readonly pushText?: boolean | undefined }
  ) {
    this.limits = {
      maxBulkLength: bound(limits.maxBulkLength, Infinity),
      maxAggregateLength: bound(limits.maxAggregateLength, mostElements),
      maxDepth: bound(limits.maxDepth, mostElements),
      maxBufferedBytes: bound(limits.maxBufferedBytes, Infinity)
    }
    this.text = options?.text ?? true
    this.pushText = options?.pushText ?? true
  }

  /** Whether the parser is between two values. */
  get idle(): boolean {
    return (
      this.state === State.Element &&
      this.frame === undefined &&
      this.rest === undefined &&
      this.stringParts === undefined
    )
  }

  /**
   * While much of a body is missing: the memory for its next bytes. A transport that reads into it saves a copy and can
   * read more at a time. It must then pass the bytes to {@link write} like any others.
   */
  get room(): Uint8Array | undefined {
    return this.state === State.Body && this.bodyLength - this.bodyFilled >= leastRoom && !this.stopped
      ? this.body.subarray(this.bodyFilled, this.bodyLength)
      : undefined
  }

  /** Ends the parse. The rest of the current chunk is dropped, and the buffers of an unfinished value are released. */
  stop(): void {
    this.stopped = true
    // A handler may call this while the parser is reading, so the buffers are released later.
    queueMicrotask(() => this.release())
  }

  /**
   * Reads a chunk. Returns a failure when this chunk, or an earlier one, is not valid RESP. An error thrown by a
   * handler is rethrown and ends the parse, because the rest of the chunk is lost and later replies could not be
   * matched to their commands.
   */
  write(chunk: Uint8Array): ParseFailure | undefined {
    if (this.failure !== undefined || this.stopped) {
      return this.failure
    }
    try {
      this.run(chunk)
    } catch (error) {
      const inPush = this.openPushes > 0
      this.release()
      if (!(error instanceof ParseFailure)) {
        this.stopped = true
        throw error
      }
      error.inPush = inPush
      this.failure = error
    }
    return this.failure
  }

  /** Releases the buffers of an unfinished value. */
  private release(): void {
    this.state = State.Element
    this.frame = undefined
    this.depth = 0
    this.linePieces = new Pieces()
    this.body = empty
    this.bodyLent = false
    this.stringParts = undefined
    this.rest = undefined
  }

  private run(bytes: Uint8Array): void {
    const end = bytes.length
    this.start = 0
    let at = this.resume(bytes)
    while (at < end && !this.stopped) {
      // An open streamed string may only be followed by its parts.
      if (this.stringParts === undefined) {
        const { frame } = this
        at =
          frame === undefined
            ? this.replies(bytes, at, end)
            : frame.type === PERCENT && frame.length > 0
              ? this.fillMap(frame, bytes, at, end)
              : this.fill(frame, bytes, at, end)
      }
      if (at === end || this.stopped) {
        break
      }
      const next = this.element(bytes, at, end)
      if (next === -1) {
        if (end - at > maxHeader) {
          throw new ParseFailure("an element's header is too long")
        }
        this.rest = copy(bytes, at, end)
        // The header is read again with the next chunk, and is counted then.
        this.addBuffered(at)
        return
      }
      at = next
    }
    this.addBuffered(end)
  }

  /** Continues the element that the last chunk ended inside. Returns the position of the next element. */
  private resume(bytes: Uint8Array): number {
    switch (this.state) {
      case State.Line:
        return this.continueLine(bytes)
      case State.Body:
        return this.continueBody(bytes, 0)
      default:
        return this.rest === undefined ? 0 : this.continueHeader(this.rest, bytes)
    }
  }

  /**
   * Reads a header that is split between two chunks from a small array of its own, with as much of this chunk as a
   * header can need. (To join both chunks would copy 64 KB for one header, and took 5 to 10 % of the time for small
   * replies.)
   */
  private continueHeader(rest: Uint8Array, chunk: Uint8Array): number {
    const taken = Math.min(chunk.length, maxHeader)
    const joined = new Uint8Array(rest.length + taken)
    joined.set(rest)
    joined.set(chunk.subarray(0, taken), rest.length)
    this.rest = undefined
    const next = this.element(joined, 0, joined.length)
    if (next === -1) {
      if (joined.length > maxHeader) {
        throw new ParseFailure("an element's header is too long")
      }
      this.rest = joined
      // The bytes are counted when the header is read.
      this.start = chunk.length
      return chunk.length
    }
    // The bytes in `rest` come before the chunk's first byte.
    this.start -= rest.length
    const at = next - rest.length
    return this.state === State.Body && !this.stopped ? this.continueBody(chunk, at) : at
  }

  /** Reads top-level replies as long as they are plain. The work of {@link endValue} is done once for all of them. */
  private replies(bytes: Uint8Array, from: number, end: number): number {
    const { handler } = this
    const most = this.limits.maxBufferedBytes
    // The position where the value would begin if all of it were in this chunk.
    let begin = this.start - this.buffered
    let at = from
    while (at < end) {
      const value =
        bytes[at] !== COLON
          ? this.plain(bytes, at, end)
          : at + 3 < end && bytes[at + 2] === CR
            ? this.plainDigit(bytes, at)
            : this.plainInteger(bytes, at + 1, end)
      if (value === undefined) {
        break
      }
      at = this.next
      if (at - begin > most) {
        this.tooMuchBuffered()
      }
      begin = at
      handler.onReply(value)
      if (this.stopped) {
        break
      }
    }
    if (at !== from) {
      this.buffered = 0
      this.start = at
    }
    return at
  }

  /** Reads elements of the open aggregate, to its end or as long as they are plain. */
  private fill(frame: Frame, bytes: Uint8Array, from: number, end: number): number {
    const { items } = frame
    const last = frame.length - 1
    let filled = frame.filled
    let at = from
    while (at < end) {
      const value = this.plain(bytes, at, end)
      if (value === undefined) {
        break
      }
      at = this.next
      if (filled >= last) {
        frame.filled = filled
        this.emit(value, at)
        return at
      }
      items[filled++] = value
    }
    frame.filled = filled
    return at
  }

  /**
   * Like {@link fill}, for a map of known length: its keys are likely names that were read before. It is a method of
   * its own, because one more check in {@link fill} made stream entries take 1.07 to 1.18 times as long.
   */
  private fillMap(frame: Frame, bytes: Uint8Array, from: number, end: number): number {
    const { items } = frame
    const last = frame.length - 1
    let filled = frame.filled
    let at = from
    while (at < end) {
      this.isName = (filled & 1) === 0
      const value = this.plain(bytes, at, end)
      if (value === undefined) {
        break
      }
      at = this.next
      if (filled === last) {
        frame.filled = filled
        this.emit(value, at)
        return at
      }
      items[filled++] = value
    }
    this.isName = false
    frame.filled = filled
    return at
  }

  /**
   * The fast path for the commonest elements: `$`, `:`, `,`, `+OK`, `_` and `#`, when the element is valid and this
   * chunk contains all of it. For anything else it returns `undefined`, and {@link element} reads the element. {@link
   * next} is the position of the next element. Each type has a method of its own, small enough for V8 to inline where
   * it is hot.
   */
  private plain(bytes: Uint8Array, at: number, end: number): Reply | undefined {
    switch (bytes[at]) {
      case DOLLAR:
        return this.plainBulk(bytes, at + 1, end)
      case COLON:
        return this.plainInteger(bytes, at + 1, end)
      case COMMA:
        return this.plainDouble(bytes, at + 1, end)
      case PLUS:
      case UNDERSCORE:
      case HASH:
        return this.plainToken(bytes, at, end)
    }
    return undefined
  }
  private next = 0
  /** Whether {@link plain} is reading a key of a map, which is likely a name that was read before. */
  private isName = false

  private plainBulk(bytes: Uint8Array, from: number, end: number): Reply | undefined {
    let at = from
    let length = 0
    let digit = 0
    while (at < end && (digit = (bytes[at] as number) - 48) >= 0 && digit <= 9) {
      length = length * 10 + digit
      at++
    }
    if (at === from) {
      return this.plainNil(bytes, from, end)
    }
    const body = at + 2
    const to = body + length
    if (
      to + 2 > end ||
      at - from > 9 ||
      length > this.limits.maxBulkLength ||
      bytes[at] !== CR ||
      bytes[at + 1] !== LF ||
      bytes[to] !== CR ||
      bytes[to + 1] !== LF
    ) {
      return undefined
    }
    this.next = to + 2
    return this.content(bytes, body, to)
  }

  /**
   * Integers of one digit, the commonest integer replies (`:1` and `:0`): 1.3 times as fast as {@link plainInteger}.
   * The same check inside {@link plainInteger} would slow down integers in arrays to 0.86 of their speed.
   */
  private plainDigit(bytes: Uint8Array, at: number): number | undefined {
    const digit = (bytes[at + 1] as number) - 48
    if (digit < 0 || digit > 9 || bytes[at + 3] !== LF) {
      return undefined
    }
    this.next = at + 4
    return digit
  }

  private plainInteger(bytes: Uint8Array, from: number, end: number): number | undefined {
    let at = from
    const negative = at < end && bytes[at] === MINUS
    if (negative) {
      at++
    }
    const first = at
    let value = 0
    let digit = 0
    while (at < end && (digit = (bytes[at] as number) - 48) >= 0 && digit <= 9) {
      value = value * 10 + digit
      at++
    }
    // A number holds 15 digits exactly.
    if (at === first || at - first > 15 || at + 1 >= end || bytes[at] !== CR || bytes[at + 1] !== LF) {
      return undefined
    }
    this.next = at + 2
    return negative && value !== 0 ? -value : value
  }

  private plainToken(bytes: Uint8Array, at: number, end: number): string | boolean | null | undefined {
    const type = bytes[at]
    if (type === UNDERSCORE) {
      if (at + 2 < end && bytes[at + 1] === CR && bytes[at + 2] === LF) {
        this.next = at + 3
        return null
      }
    } else if (type === HASH) {
      if (at + 3 < end && bytes[at + 2] === CR && bytes[at + 3] === LF) {
        const letter = bytes[at + 1]
        if (letter === LETTER_T || letter === LETTER_F) {
          this.next = at + 4
          return letter === LETTER_T
        }
      }
    } else if (
      at + 4 < end &&
      bytes[at + 1] === 79 &&
      bytes[at + 2] === 75 &&
      bytes[at + 3] === CR &&
      bytes[at + 4] === LF &&
      this.limits.maxBulkLength >= 2
    ) {
      this.next = at + 5
      return "OK"
    }
    return undefined
  }

  /** The `-1` of `$-1`. */
  private plainNil(bytes: Uint8Array, from: number, end: number): null | undefined {
    if (
      from + 3 < end &&
      bytes[from] === MINUS &&
      bytes[from + 1] === 49 &&
      bytes[from + 2] === CR &&
      bytes[from + 3] === LF
    ) {
      this.next = from + 4
      return null
    }
    return undefined
  }

  /**
   * A double whose digits form an integer of at most 2^53, and whose power of ten is at most 10^22. Both are exact as
   * numbers, so the one division rounds correctly.
   */
  private plainDouble(bytes: Uint8Array, from: number, end: number): number | undefined {
    let at = from
    const negative = at < end && bytes[at] === MINUS
    if (negative) {
      at++
    }
    const first = at
    let value = 0
    let digit = 0
    let digits = 0
    while (at < end && (digit = (bytes[at] as number) - 48) >= 0 && digit <= 9) {
      value = value * 10 + digit
      at++
    }
    digits = at - first
    if (digits === 0) {
      return undefined
    }
    let decimals = 0
    if (at < end && bytes[at] === DOT) {
      const point = at++
      while (at < end && (digit = (bytes[at] as number) - 48) >= 0 && digit <= 9) {
        value = value * 10 + digit
        at++
      }
      decimals = at - point - 1
      digits += decimals
    }
    // An integer of 15 digits is less than 2^53.
    if (
      digits > 15 ||
      at + 1 >= end ||
      bytes[at] !== CR ||
      bytes[at + 1] !== LF ||
      at - from > this.limits.maxBulkLength
    ) {
      return undefined
    }
    this.next = at + 2
    const positive = decimals === 0 ? value : value / (powersOfTen[decimals] as number)
    return negative ? -positive : positive
  }

  /** Counts the bytes of the current value in this chunk, up to `to`. */
  private addBuffered(to: number): void {
    this.buffered += to - this.start
    if (this.buffered > this.limits.maxBufferedBytes) {
      this.tooMuchBuffered()
    }
  }

  /** Ends a top-level value at `next`. The limit applies to the whole value, however it was split into chunks. */
  private endValue(next: number): void {
    if (this.buffered + (next - this.start) > this.limits.maxBufferedBytes) {
      this.tooMuchBuffered()
    }
    this.buffered = 0
    this.start = next
  }

  private tooMuchBuffered(): never {
    throw new ParseFailure(`one reply is larger than ${this.limits.maxBufferedBytes} bytes (limits.maxBufferedBytes)`)
  }

  /**
   * Reads one element at `at`. Returns the position of the next element, `end` when the rest of the element is still
   * missing, or -1 when the chunk ends inside its header.
   */
  private element(bytes: Uint8Array, at: number, end: number): number {
    const type = bytes[at] as number
    if (this.stringParts !== undefined && type !== SEMICOLON) {
      throw new ParseFailure("a streamed string was not continued")
    }
    switch (type) {
      case DOLLAR:
      case BANG:
      case EQUALS:
        return this.bulk(type, bytes, at, end)
      case PLUS:
      case MINUS:
      case COMMA:
      case PAREN:
        return this.line(type, bytes, at + 1, end)
      case COLON:
        return this.integer(bytes, at + 1, end)
      case ASTERISK:
      case PERCENT:
      case TILDE:
      case GREATER:
      case PIPE:
        return this.aggregate(type, bytes, at, end)
      case UNDERSCORE:
        return this.token(bytes, at + 1, end, null)
      case HASH: {
        if (at + 1 >= end) {
          return -1
        }
        const letter = bytes[at + 1]
        if (letter !== LETTER_T && letter !== LETTER_F) {
          throw new ParseFailure("a boolean that is neither #t nor #f")
        }
        return this.token(bytes, at + 2, end, letter === LETTER_T)
      }
      case SEMICOLON:
        return this.streamedPart(bytes, at, end)
      case DOT:
        return this.streamEnd(bytes, at + 1, end)
      default:
        throw new ParseFailure(`unknown type byte 0x${type.toString(16).padStart(2, "0")}`)
    }
  }

  /** `:`: an integer of 64 bits with an optional sign. */
  private integer(bytes: Uint8Array, from: number, end: number): number {
    let at = from
    let negative = false
    if (at < end) {
      const sign = bytes[at]
      if (sign === MINUS || sign === PLUS) {
        negative = sign === MINUS
        at++
      }
    }
    const digits = at
    let value = 0
    let digit = 0
    while (at < end && (digit = (bytes[at] as number) - 48) >= 0 && digit <= 9) {
      value = value * 10 + digit
      at++
    }
    if (at - digits > 20) {
      throw new ParseFailure("an integer beyond 64 bits")
    }
    if (at + 1 >= end) {
      if (at < end && bytes[at] !== CR) {
        throw new ParseFailure("an integer with characters that are not digits")
      }
      return -1
    }
    if (at === digits || bytes[at] !== CR || bytes[at + 1] !== LF) {
      throw new ParseFailure("an integer with characters that are not digits")
    }
    if (value <= Number.MAX_SAFE_INTEGER) {
      this.emit(negative && value !== 0 ? -value : value, at + 2)
      return at + 2
    }
    const exact = BigInt((negative ? "-" : "") + utf8Decode(bytes, digits, at))
    if (BigInt.asIntN(64, exact) !== exact) {
      throw new ParseFailure("an integer beyond 64 bits")
    }
    this.emit(exact, at + 2)
    return at + 2
  }

  /**
   * Reads a length and its CRLF. Returns the length, -1 for the null `-1`, -2 when the chunk ends first, or -3 for a
   * streamed `?`. {@link lengthEnd} is the position where the body begins.
   */
  private length(bytes: Uint8Array, from: number, end: number, nullable: boolean): number {
    let at = from
    let value = 0
    if (at < end && bytes[at] === QUESTION) {
      value = -3
      at++
    } else if (at < end && bytes[at] === MINUS && nullable) {
      at++
      if (at < end && bytes[at] !== 49) {
        throw new ParseFailure("a negative length")
      }
      value = -1
      at++
    } else {
      let digit = 0
      while (at < end && (digit = (bytes[at] as number) - 48) >= 0 && digit <= 9) {
        value = value * 10 + digit
        at++
      }
      if (at - from > 20) {
        throw new ParseFailure("a length with too many digits")
      }
      if (at === from && at < end) {
        throw new ParseFailure("a length that is not a number")
      }
    }
    if (at >= end) {
      return -2
    }
    if (bytes[at] !== CR) {
      throw new ParseFailure("a length that is not a number")
    }
    if (at + 1 >= end) {
      return -2
    }
    if (bytes[at + 1] !== LF) {
      throw new ParseFailure("a length that does not end with CRLF")
    }
    this.lengthEnd = at + 2
    return value
  }
  private lengthEnd = 0

  /** `$`: a bulk string; `!`: a bulk error; `=`: a verbatim string. */
  private bulk(type: number, bytes: Uint8Array, at: number, end: number): number {
    const length = this.length(bytes, at + 1, end, type === DOLLAR)
    if (length < 0) {
      if (length === -2) {
        return -1
      }
      if (length === -1) {
        this.emit(null, this.lengthEnd)
      } else if (type === DOLLAR) {
        this.stringParts = new Pieces()
      } else {
        throw new ParseFailure("a length that is not a number")
      }
      return this.lengthEnd
    }
    return this.openBody(type, length, bytes, this.lengthEnd, end)
  }

  private openBody(type: number, length: number, bytes: Uint8Array, from: number, end: number): number {
    const to = from + length
    // The common case: the whole body is in this chunk.
    if (to + 2 <= end) {
      if (length > this.limits.maxBulkLength) {
        this.bulkTooLong(length)
      }
      if (bytes[to] !== CR || bytes[to + 1] !== LF) {
        throw new ParseFailure("a bulk string that is not followed by CRLF")
      }
      this.endBody(type, bytes, from, to, to + 2)
      return to + 2
    }
    if (length > this.limits.maxBulkLength) {
      this.bulkTooLong(length)
    }
    if (this.buffered + (from - this.start) + length > this.limits.maxBufferedBytes) {
      this.tooMuchBuffered()
    }
    // The body is collected in one array: each byte is copied once, and the chunks can be freed.
    this.bodyLent = length <= mostLent && this.wantsText()
    this.body = this.bodyLent ? borrow(length) : allocate(length)
    this.bodyLength = length
    this.bodyFilled = 0
    this.bodyType = type
    this.state = State.Body
    return this.continueBody(bytes, from)
  }

  private bulkTooLong(length: number): never {
    throw new ParseFailure(
      `a bulk string of ${length} bytes, more than the limit of ${this.limits.maxBulkLength} (limits.maxBulkLength)`
    )
  }

  /** Fills the body, then checks its CRLF, whose bytes may arrive in later chunks. */
  private continueBody(bytes: Uint8Array, from: number): number {
    const body = this.body
    const length = this.bodyLength
    const end = bytes.length
    let at = from
    if (this.bodyFilled < length) {
      at = Math.min(end, from + length - this.bodyFilled)
      // A chunk in the body's own buffer was read into {@link room}, so its bytes are already in place.
      if (bytes.buffer !== body.buffer) {
        body.set(from === 0 && at === end ? bytes : bytes.subarray(from, at), this.bodyFilled)
      }
      this.bodyFilled += at - from
    }
    while (at < end) {
      if (bytes[at] !== (this.bodyFilled === length ? CR : LF)) {
        throw new ParseFailure("a bulk string that is not followed by CRLF")
      }
      at++
      if (this.bodyFilled > length) {
        this.state = State.Element
        this.body = empty
        this.endBody(this.bodyType, body, 0, length, at)
        if (this.bodyLent) {
          this.bodyLent = false
          spare = body
        }
        return at
      }
      this.bodyFilled++
    }
    return end
  }

  private endBody(type: number, bytes: Uint8Array, from: number, to: number, next: number): void {
    switch (type) {
      case DOLLAR:
        return this.emit(this.content(bytes, from, to), next)
      case BANG:
        return this.emit(new ErrorReply(errorText(bytes, from, to)), next)
      case EQUALS: {
        if (to - from < 4 || bytes[from + 3] !== COLON) {
          throw new ParseFailure("a verbatim string without its format")
        }
        const format = formatOf(bytes, from)
        return this.emit(new VerbatimString(format, this.content(bytes, from + 4, to)), next)
      }
      default: {
        // ";": one part of a streamed string.
        const parts = this.stringParts as Pieces
        parts.append(bytes, from, to)
      }
    }
  }

  /**
   * The content of a bulk string, as text or bytes. Bytes that are not UTF-8, or too many for one string, stay bytes: a
   * decoder that wants text then fails.
   */
  private content(bytes: Uint8Array, from: number, to: number): string | Uint8Array {
    if (this.wantsText()) {
      const text = this.isName ? nameDecodeStrict(bytes, from, to) : utf8DecodeStrict(bytes, from, to)
      if (text !== undefined) {
        return text
      }
    }
    // A range that covers a whole array is never a chunk, because CRLF follows a body in it. It is our own array, or
    // the reusable one.
    return from === 0 && to === bytes.length && !this.bodyLent ? bytes : copy(bytes, from, to)
  }

  /** Whether the current bulk string becomes text. */
  private wantsText(): boolean {
    return this.openPushes === 0 ? this.text : this.pushText
  }

  /** `;`: a part of a streamed string; `;0` ends the string. */
  private streamedPart(bytes: Uint8Array, at: number, end: number): number {
    const parts = this.stringParts
    if (parts === undefined) {
      throw new ParseFailure("a part of a streamed string outside of one")
    }
    const length = this.length(bytes, at + 1, end, false)
    if (length === -2) {
      return -1
    }
    if (length === -3) {
      throw new ParseFailure("a length that is not a number")
    }
    if (length > 0) {
      if (parts.length + length > this.limits.maxBulkLength) {
        this.bulkTooLong(parts.length + length)
      }
      return this.openBody(SEMICOLON, length, bytes, this.lengthEnd, end)
    }
    this.stringParts = undefined
    this.emit(this.content(parts.bytes, 0, parts.length), this.lengthEnd)
    return this.lengthEnd
  }

  /** `+ - , (`: text up to CRLF. A bare CR or LF inside it is an error. */
  private line(type: number, bytes: Uint8Array, from: number, end: number): number {
    let at = from
    while (at < end) {
      const byte = bytes[at]
      if (byte === CR) {
        if (at + 1 === end) {
          break
        }
        if (bytes[at + 1] !== LF) {
          throw new ParseFailure("a bare CR inside a line")
        }
        this.endLine(type, bytes, from, at, at + 2)
        return at + 2
      }
      if (byte === LF) {
        throw new ParseFailure("a bare LF inside a line")
      }
      at++
    }
    this.lineType = type
    this.linePart(bytes, from, at)
    this.lineSawCR = at < end
    this.state = State.Line
    return end
  }

  private continueLine(bytes: Uint8Array): number {
    const end = bytes.length
    if (end === 0) {
      return 0
    }
    let at = 0
    if (!this.lineSawCR) {
      while (at < end && bytes[at] !== CR) {
        if (bytes[at] === LF) {
          throw new ParseFailure("a bare LF inside a line")
        }
        at++
      }
      this.linePart(bytes, 0, at)
      if (at === end) {
        return end
      }
      this.lineSawCR = true
      at++
      if (at === end) {
        return end
      }
    }
    if (bytes[at] !== LF) {
      throw new ParseFailure("a bare CR inside a line")
    }
    const line = this.linePieces
    this.linePieces = new Pieces()
    this.state = State.Element
    this.endLine(this.lineType, line.bytes, 0, line.length, at + 1)
    return at + 1
  }

  private linePart(bytes: Uint8Array, from: number, to: number): void {
    if (this.linePieces.length + (to - from) > this.limits.maxBulkLength) {
      this.lineTooLong()
    }
    this.linePieces.append(bytes, from, to)
  }

  private lineTooLong(): never {
    throw new ParseFailure(`a line of more than ${this.limits.maxBulkLength} bytes (limits.maxBulkLength)`)
  }

  private endLine(type: number, bytes: Uint8Array, from: number, to: number, next: number): void {
    if (to - from > this.limits.maxBulkLength) {
      this.lineTooLong()
    }
    // The commonest reply of all needs no decoding.
    if (type === PLUS && to - from === 2 && bytes[from] === 79 && bytes[from + 1] === 75) {
      return this.emit("OK", next)
    }
    switch (type) {
      case PLUS:
        return this.emit(utf8DecodeStrict(bytes, from, to) ?? copy(bytes, from, to), next)
      case MINUS:
        return this.emit(new ErrorReply(errorText(bytes, from, to)), next)
      case COMMA:
        return this.emit(readDouble(bytes, from, to), next)
      default:
        return this.emit(readBigNumber(bytes, from, to), next)
    }
  }

  /** `_` and `#t`: only CRLF may follow. */
  private token(bytes: Uint8Array, at: number, end: number, value: boolean | null): number {
    if ((at < end && bytes[at] !== CR) || (at + 1 < end && bytes[at + 1] !== LF)) {
      throw new ParseFailure("a null or boolean that is not followed by CRLF")
    }
    if (at + 1 >= end) {
      return -1
    }
    this.emit(value, at + 2)
    return at + 2
  }

  /** `* % ~ > |`: opens an aggregate. */
  private aggregate(type: number, bytes: Uint8Array, at: number, end: number): number {
    const length = this.length(bytes, at + 1, end, type === ASTERISK)
    if (length === -2) {
      return -1
    }
    if (length === -1) {
      this.emit(null, this.lengthEnd)
      return this.lengthEnd
    }
    const elements = length === -3 ? -1 : type === PERCENT || type === PIPE ? length * 2 : length
    if (elements > this.limits.maxAggregateLength) {
      throw new ParseFailure(
        `an aggregate of ${elements} elements, more than the limit of ${this.limits.maxAggregateLength} (limits.maxAggregateLength)`
      )
    }
    if (length === -3 && (type === GREATER || type === PIPE)) {
      throw new ParseFailure("a push or attribute cannot be streamed")
    }
    if (length === 0 && type === GREATER) {
      throw new ParseFailure("a push without a kind")
    }
    if (this.depth >= this.limits.maxDepth) {
      throw new ParseFailure(`values nested deeper than ${this.limits.maxDepth} (limits.maxDepth)`)
    }
    const frame = new Frame(type, elements, this.frame)
    if (type === GREATER) {
      this.openPushes++
    }
    if (elements === 0) {
      this.complete(frame, this.lengthEnd)
    } else {
      this.frame = frame
      this.depth++
    }
    return this.lengthEnd
  }

  /** `.` ends the streamed aggregate that is open. */
  private streamEnd(bytes: Uint8Array, at: number, end: number): number {
    if ((at < end && bytes[at] !== CR) || (at + 1 < end && bytes[at + 1] !== LF)) {
      throw new ParseFailure("a stream end that is not followed by CRLF")
    }
    if (at + 1 >= end) {
      return -1
    }
    const frame = this.frame
    if (frame === undefined || frame.length !== -1) {
      throw new ParseFailure("a stream end outside a streamed aggregate")
    }
    if (frame.type === PERCENT && frame.filled % 2 !== 0) {
      throw new ParseFailure("a streamed map that ends after a key")
    }
    this.frame = frame.outer
    this.depth--
    this.complete(frame, at + 2)
    return at + 2
  }

  /**
   * Hands over a complete value: to the handler, or into the open aggregate. That may complete the aggregate, and the
   * one around it. It is a loop, because the allowed depth may exceed JavaScript's stack.
   */
  private emit(value: Reply, next: number): void {
    let item = value
    let frame = this.frame
    while (frame !== undefined) {
      frame.items[frame.filled++] = item
      if (frame.filled !== frame.length) {
        if (frame.length === -1 && frame.filled > this.limits.maxAggregateLength) {
          throw new ParseFailure(
            `a streamed aggregate of more than ${this.limits.maxAggregateLength} elements (limits.maxAggregateLength)`
          )
        }
        return
      }
      this.frame = frame.outer
      this.depth--
      const whole = this.close(frame, next)
      if (whole === undefined) {
        return
      }
      item = whole
      frame = this.frame
    }
    this.endValue(next)
    this.handler.onReply(item)
  }

  /** Completes an aggregate that ends without a last element: an empty or a streamed one. */
  private complete(frame: Frame, next: number): void {
    const whole = this.close(frame, next)
    if (whole !== undefined) {
      this.emit(whole, next)
    }
  }

  /**
   * Returns the value of a complete aggregate. A push or an attribute is handed over here, and `undefined` is returned.
   */
  private close(frame: Frame, next: number): Reply | undefined {
    switch (frame.type) {
      case ASTERISK:
        return frame.items
      case PERCENT:
        return new MapReply(frame.items)
      case TILDE:
        return new SetReply(frame.items)
    }
    if (frame.type === GREATER) {
      this.openPushes--
    }
    if (this.frame === undefined) {
      this.endValue(next)
    }
    if (frame.type === GREATER) {
      this.handler.onPush(new Push(frame.items))
    } else {
      this.handler.onAttribute(new Attribute(frame.items))
    }
    return undefined
  }
}

/**
 * Copies bytes, so that a reply that is kept does not keep the socket's whole chunk in memory. (`Buffer.slice` would
 * share it.)
 */
const copy = (bytes: Uint8Array, from: number, to: number): Uint8Array => {
  const own = new Uint8Array(to - from)
  own.set(bytes.subarray(from, to))
  return own
}

/** A limit that is not a number becomes 0: it refuses everything rather than nothing. */
const bound = (limit: number, most: number): number => (limit >= 0 ? Math.min(limit, most) : 0)

/**
 * When less than this is missing of a body, the transport reads into its usual buffer, because one read may contain the
 * end of the body and many more replies.
 */
const leastRoom = 64 * 1024

/**
 * Allocates an array. It may fail although the limits allow the length: memory may be short, or the length more than
 * one array can have.
 */
const allocate = (length: number): Uint8Array => {
  try {
    return new Uint8Array(length)
  } catch {
    throw new ParseFailure(`not enough memory for a value of ${length} bytes`)
  }
}

/**
 * Bodies that become text are collected in a reusable array, up to this size. To allocate an array for each would take
 * as long as reading 16 KB of text, and 100 µs for a megabyte.
 */
const mostLent = 1024 * 1024
let spare: Uint8Array | undefined

/** Takes the spare array, or allocates one. If it is not returned (connection lost), the next caller allocates one. */
const borrow = (length: number): Uint8Array => {
  const own = spare
  spare = undefined
  return own !== undefined && own.length >= length ? own : allocate(Math.max(length, 64 * 1024))
}

/** The text of an error, cut at the runtime's longest string, which a line may exceed. */
const errorText = (bytes: Uint8Array, from: number, to: number): string =>
  utf8Escape(bytes, from, Math.min(to, from + longestString))

/**
 * The format of a verbatim string. Servers send two formats; the commoner one, `txt`, is recognised without calling the
 * decoder (45 ns).
 */
const formatOf = (bytes: Uint8Array, from: number): string =>
  bytes[from] === LETTER_T && bytes[from + 1] === LETTER_X && bytes[from + 2] === LETTER_T
    ? "txt"
    : utf8Decode(bytes, from, from + 3)

/** Reads a double. Real servers send `10`, `1e+300`, `inf` and, from C's printf, `-nan`. */
const readDouble = (bytes: Uint8Array, from: number, to: number): Reply => {
  const last = Math.min(to, from + maxDoubleLength)
  // The strict decoder is faster for up to 20 characters.
  const text = utf8DecodeStrict(bytes, from, last) ?? utf8Decode(bytes, from, last)
  if (to - from > maxDoubleLength || !doublePattern.test(text)) {
    return new Unreadable("double", text)
  }
  switch (text.charCodeAt(text.length - 1)) {
    case 102: // f
      return text.startsWith("-") ? -Infinity : Infinity
    case 110: // n
      return NaN
    default:
      return Number(text)
  }
}

const readBigNumber = (bytes: Uint8Array, from: number, to: number): Reply => {
  const text = utf8Decode(bytes, from, Math.min(to, from + maxBigNumberDigits))
  if (to - from > maxBigNumberDigits || !bigNumberPattern.test(text)) {
    return new Unreadable("big number", text)
  }
  return text.startsWith("-") ? -BigInt(text.slice(1)) : BigInt(text.startsWith("+") ? text.slice(1) : text)
}
