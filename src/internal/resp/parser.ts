/**
 * The incremental RESP2/RESP3 parser: bytes in, values out, nothing else. It knows no socket, no command and no Effect.
 *
 * - It is iterative: open aggregates are a list of `Frame`s, never on JavaScript's stack.
 * - No byte of a value's body is looked at twice, however the bytes are split. Only the header of an element
 *   (`$123\r\n`, at most 64 bytes) is read again when a chunk ends inside it.
 * - Limits are checked when a length is announced, before anything is allocated for it.
 * - After the first error it is terminal: it accepts no more bytes.
 * - Pushes and attributes are handed over as they complete and never become elements of what surrounds them.
 */
import { longestString, nameDecodeStrict, utf8Decode, utf8DecodeStrict } from "./text.js"
import { Attribute, ErrorReply, MapReply, Push, type Reply, SetReply, Unreadable, VerbatimString } from "./values.js"

/** What the parser hands over. A handler may call {@link Parser.stop} to end the parse of the current chunk. */
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

/** Why the bytes are not RESP. The text never contains bytes of a payload. */
export class ParseFailure {
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

/** As many as {@link Parser.plainDouble} divides by. */
const powersOfTen = Array.from({ length: 16 }, (_, i) => 10 ** i)

/** No element header is longer: the longest is an integer of 20 characters, its type byte and CRLF. */
const maxHeader = 64

const doublePattern = /^[+-]?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|inf|nan)$/
const bigNumberPattern = /^[+-]?\d+$/
/** `BigInt(text)` is worse than linear; no real server sends more digits than this. */
const maxBigNumberDigits = 20_000
/** C's longest `long double`, printed in full, is about 5000 characters. */
const maxDoubleLength = 8 * 1024
/** V8 ends the process, with nothing to catch, when `push` makes an array longer than about 112 million elements. */
const mostElements = 100_000_000

const empty = new Uint8Array(0)

/** Room for so many elements is made at once; more of them only as they come. */
const mostPrepared = 1024

/** An open aggregate, and the one it is in. `length` is -1 for a streamed one, which ends with `.`. */
class Frame {
  /** Of its final size where that is small: an array that grows has room for 17 after the first `push`. */
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

/** What comes next in the bytes: an element, the rest of a text line, or the rest of a bulk body. */
const enum State {
  Element,
  Line,
  Body
}

/**
 * Bytes that come in pieces. The array doubles as it grows: an array per piece would cost a hundred times its bytes when
 * the pieces are of one byte each.
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
  /** How the bulk strings of replies are handed over: as text, or as bytes. Read per bulk string. */
  text: boolean
  /** How bulk strings inside pushes are handed over. */
  pushText: boolean
  failure: ParseFailure | undefined

  private stopped = false
  private openPushes = 0
  private state: State = State.Element
  /** The innermost aggregate that is open, and how many are. */
  private frame: Frame | undefined
  private depth = 0

  /** The bytes of an element header that the last chunk ended inside. */
  private rest: Uint8Array | undefined

  private lineType = 0
  private linePieces = new Pieces()
  private lineSawCR = false

  private bodyType = 0
  private body: Uint8Array = empty
  private bodyLength = 0
  private bodyFilled = 0
  /** Whether it is one of those that are used again, which nobody may keep. */
  private bodyLent = false

  /** What has come of a streamed string (`$?`), while one is open. */
  private stringParts: Pieces | undefined

  /** Bytes of the value being read that came in earlier chunks, and where in this chunk it continues. */
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

  /** Whether nothing has been read of the next value. */
  get idle(): boolean {
    return (
      this.state === State.Element &&
      this.frame === undefined &&
      this.rest === undefined &&
      this.stringParts === undefined
    )
  }

  /**
   * Where the next bytes belong, while much of a body is still to come. A transport that reads them into it saves a copy,
   * and reads as much at a time as there is; {@link write} is told of them as of any others.
   */
  get room(): Uint8Array | undefined {
    return this.state === State.Body && this.bodyLength - this.bodyFilled >= leastRoom && !this.stopped
      ? this.body.subarray(this.bodyFilled, this.bodyLength)
      : undefined
  }

  /** Ends the parse; what is left of the current chunk is dropped, and what there is of an unfinished value let go. */
  stop(): void {
    this.stopped = true
    // A handler that stops it is called while it reads.
    queueMicrotask(() => this.release())
  }

  /**
   * Reads a chunk. Answers the failure when the bytes are not RESP, now or before. What a handler throws is rethrown and
   * ends the parse: the rest of the chunk is lost, so that what came next would be answers to nobody.
   */
  write(chunk: Uint8Array): ParseFailure | undefined {
    if (this.failure !== undefined || this.stopped) {
      return this.failure
    }
    try {
      this.run(chunk)
    } catch (error) {
      this.release()
      if (!(error instanceof ParseFailure)) {
        this.stopped = true
        throw error
      }
      this.failure = error
    }
    return this.failure
  }

  /** Lets go of what was buffered of an unfinished value. */
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
      // A streamed string that is open has parts and nothing else.
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
          throw new ParseFailure("an element's header is longer than any can be")
        }
        this.rest = copy(bytes, at, end)
        // The header is read again with the next chunk, and counted then.
        this.addBuffered(at)
        return
      }
      at = next
    }
    this.addBuffered(end)
  }

  /** Goes on with what the last chunk ended inside. Answers where the next element begins. */
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
   * The header that the last chunk ended inside is read from an array of its own, with as much of this chunk as a header
   * can need. (Both chunks in one, 64 KB of copying for a header, took 5 to 10 % of reading small replies.)
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
        throw new ParseFailure("an element's header is longer than any can be")
      }
      this.rest = joined
      // Counted when it is read.
      this.start = chunk.length
      return chunk.length
    }
    // What is in `rest` comes before the chunk's first byte.
    this.start -= rest.length
    const at = next - rest.length
    return this.state === State.Body && !this.stopped ? this.continueBody(chunk, at) : at
  }

  /** Replies that stand alone, for as long as they are plain. What {@link endValue} does is done once for all of them. */
  private replies(bytes: Uint8Array, from: number, end: number): number {
    const { handler } = this
    const most = this.limits.maxBufferedBytes
    // Where the value would begin if all of it were in this chunk.
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

  /** Elements of the open aggregate, to its end or for as long as they are plain. */
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
   * The same of a map whose length is known, which ends with a value: its keys are likely ones that were read before. By
   * itself, since {@link fill} with one more thing to look at took 1.07 to 1.18 of the time for entries of a stream.
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
   * What most replies are made of: `$`, `:`, `,`, `+OK`, `_` and `#`, when the whole of it is in this chunk and nothing is
   * wrong with it. Anything else is not looked at further and goes the general way, through {@link element}. {@link next}
   * is where the next element begins. Each is a method of its own, small enough to be inlined where it is hot.
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
  /** Whether it is a key of a map that {@link plain} reads: likely one that was read before. */
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
   * `:1` and `:0`, the commonest integers that stand alone: 1.3 times as fast as {@link plainInteger}. In there it would
   * take 0.86 of the speed of an array's.
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
    // 15 digits are exact.
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
   * A double whose digits make an integer of at most 2^53 and whose power of ten is at most 10^22: both are exact, so that
   * the one multiplication or division rounds as it must.
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
    // With 15 digits it cannot be more than 2^53.
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

  /** Counts what the chunk holds, up to `to`, of the value being read. */
  private addBuffered(to: number): void {
    this.buffered += to - this.start
    if (this.buffered > this.limits.maxBufferedBytes) {
      this.tooMuchBuffered()
    }
  }

  /** A value that stands alone ends at `next`. The limit holds for it however it was split. */
  private endValue(next: number): void {
    if (this.buffered + (next - this.start) > this.limits.maxBufferedBytes) {
      this.tooMuchBuffered()
    }
    this.buffered = 0
    this.start = next
  }

  private tooMuchBuffered(): never {
    throw new ParseFailure(`one reply is larger than ${this.limits.maxBufferedBytes} bytes`)
  }

  /** Reads one element at `at`; answers where the next one begins, `end` when its rest is still to come, or -1 when the chunk ends inside its header. */
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

  /** `:` an integer of 64 bits, with an optional sign. */
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
   * Reads a length and its CRLF: the number, -1 for the null `-1`, -2 when the chunk ends first, -3 for a streamed `?`.
   * {@link lengthEnd} is where the body begins.
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

  /** `$` a bulk string, `!` a bulk error, `=` a verbatim string. */
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
    // The body goes into one array: each byte is copied once, and no chunk is kept.
    this.bodyLent = length <= mostLent && this.wantsText()
    this.body = this.bodyLent ? borrow(length) : allocate(length)
    this.bodyLength = length
    this.bodyFilled = 0
    this.bodyType = type
    this.state = State.Body
    return this.continueBody(bytes, from)
  }

  private bulkTooLong(length: number): never {
    throw new ParseFailure(`a bulk string of ${length} bytes, more than the limit of ${this.limits.maxBulkLength}`)
  }

  /** Fills the body, then sees to its CRLF, which may come in chunks of their own. */
  private continueBody(bytes: Uint8Array, from: number): number {
    const body = this.body
    const length = this.bodyLength
    const end = bytes.length
    let at = from
    if (this.bodyFilled < length) {
      at = Math.min(end, from + length - this.bodyFilled)
      // In its buffer there is nothing else: what is there was read into its place.
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

  /** Bytes that are no UTF-8, or too many for one string, stay bytes: whoever wanted text then fails to decode them. */
  private content(bytes: Uint8Array, from: number, to: number): string | Uint8Array {
    if (this.wantsText()) {
      const text = this.isName ? nameDecodeStrict(bytes, from, to) : utf8DecodeStrict(bytes, from, to)
      if (text !== undefined) {
        return text
      }
    }
    // In a chunk a body is never all there is, since CRLF follows: this is an array of our own, or the one that is lent.
    return from === 0 && to === bytes.length && !this.bodyLent ? bytes : copy(bytes, from, to)
  }

  /** Whether the bulk string that is read now is to be text. */
  private wantsText(): boolean {
    return this.openPushes === 0 ? this.text : this.pushText
  }

  /** `;` a part of a streamed string; `;0` ends it. */
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

  /** `+ - , (`: text up to CRLF, in which a bare CR or LF is an error. */
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
    throw new ParseFailure(`a line of more than ${this.limits.maxBulkLength} bytes`)
  }

  private endLine(type: number, bytes: Uint8Array, from: number, to: number, next: number): void {
    if (to - from > this.limits.maxBulkLength) {
      this.lineTooLong()
    }
    // No decoding for the commonest reply of all.
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

  /** `_` and `#t`: nothing but CRLF may follow. */
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
        `an aggregate of ${elements} elements, more than the limit of ${this.limits.maxAggregateLength}`
      )
    }
    if (length === -3 && (type === GREATER || type === PIPE)) {
      throw new ParseFailure("a push or attribute cannot be streamed")
    }
    if (length === 0 && type === GREATER) {
      throw new ParseFailure("a push without a kind")
    }
    if (this.depth >= this.limits.maxDepth) {
      throw new ParseFailure(`values nested deeper than ${this.limits.maxDepth}`)
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
   * A value is complete: it goes to its owner, or into the aggregate that is open. That may complete the aggregate, and
   * the one around it: a loop, because a depth that a user allows may be deeper than JavaScript's stack.
   */
  private emit(value: Reply, next: number): void {
    let item = value
    let frame = this.frame
    while (frame !== undefined) {
      frame.items[frame.filled++] = item
      if (frame.filled !== frame.length) {
        if (frame.length === -1 && frame.filled > this.limits.maxAggregateLength) {
          throw new ParseFailure(`a streamed aggregate of more than ${this.limits.maxAggregateLength} elements`)
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

  /** An aggregate is complete without a last element. */
  private complete(frame: Frame, next: number): void {
    const whole = this.close(frame, next)
    if (whole !== undefined) {
      this.emit(whole, next)
    }
  }

  /** The value of an aggregate, or nothing when it is a push or an attribute, which are handed over here. */
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

/** A copy of its own, so that a reply which is kept does not keep the socket's chunk. (`Buffer.slice` would share it.) */
const copy = (bytes: Uint8Array, from: number, to: number): Uint8Array => {
  const own = new Uint8Array(to - from)
  own.set(bytes.subarray(from, to))
  return own
}

/** A limit that is no number refuses everything, rather than nothing. */
const bound = (limit: number, most: number): number => (limit >= 0 ? Math.min(limit, most) : 0)

/** Less than this is read into the memory that is used for every read: one read may hold the end of a body and much else. */
const leastRoom = 64 * 1024

/** There may be less memory than the limits allow, or less than one array may take. */
const allocate = (length: number): Uint8Array => {
  try {
    return new Uint8Array(length)
  } catch {
    throw new ParseFailure(`there is no memory for a value of ${length} bytes`)
  }
}

/**
 * Bodies that become text are gathered, up to this size, in an array that is used again: to allocate one for each takes as
 * long as to read 16 KB of text, and 100 µs for a megabyte.
 */
const mostLent = 1024 * 1024
let spare: Uint8Array | undefined

/** The spare array, or a new one. Who does not bring it back, because the connection broke, leaves the next to make its own. */
const borrow = (length: number): Uint8Array => {
  const own = spare
  spare = undefined
  return own !== undefined && own.length >= length ? own : allocate(Math.max(length, 64 * 1024))
}

/** An error's text. The runtime's strings may be shorter than the longest line. */
const errorText = (bytes: Uint8Array, from: number, to: number): string =>
  utf8Decode(bytes, from, Math.min(to, from + longestString))

/** A verbatim string's format. Servers send two; no decoding for the commoner (a call of the decoder takes 45 ns). */
const formatOf = (bytes: Uint8Array, from: number): string =>
  bytes[from] === LETTER_T && bytes[from + 1] === LETTER_X && bytes[from + 2] === LETTER_T
    ? "txt"
    : utf8Decode(bytes, from, from + 3)

/** Real servers send `10`, `1e+300`, `inf` and, from C's printf, `-nan`. */
const readDouble = (bytes: Uint8Array, from: number, to: number): Reply => {
  const last = Math.min(to, from + maxDoubleLength)
  // Up to 20 letters are faster by the stricter way.
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
