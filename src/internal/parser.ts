/**
 * The incremental RESP2/RESP3 parser: bytes in, values out, nothing else. It knows no socket, no command and no Effect.
 *
 * - It is iterative: open aggregates live in `frames`, never on JavaScript's stack.
 * - No byte of a value's body is looked at twice, however the bytes are split. Only the header of an element
 *   (`$123\r\n`, at most 64 bytes) is read again when a chunk ends inside it.
 * - Limits are checked when a length is announced, before anything is allocated for it.
 * - After the first error it is terminal: it accepts no more bytes.
 * - Pushes and attributes are handed over as they complete and never become elements of what surrounds them.
 */
import { longestString, utf8Decode, utf8DecodeStrict } from "./text.js"
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

/** An open aggregate. `remaining` is -1 for a streamed one, which ends with `.`. */
class Frame {
  readonly items: Array<Reply> = []
  constructor(
    readonly type: number,
    public remaining: number
  ) {}
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
  private readonly frames: Array<Frame> = []

  /** The bytes of an element header that the last chunk ended inside. */
  private rest: Uint8Array | undefined

  private lineType = 0
  private linePieces = new Pieces()
  private lineSawCR = false

  private bodyType = 0
  private body: Uint8Array = empty
  private bodyFilled = 0

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
      this.frames.length === 0 &&
      this.rest === undefined &&
      this.stringParts === undefined
    )
  }

  /** Ends the parse; what is left of the current chunk is dropped. */
  stop(): void {
    this.stopped = true
  }

  /**
   * Reads a chunk. Answers the failure when the bytes are not RESP, now or before. What a handler throws is rethrown and
   * ends the parse: the rest of the chunk is lost, so that what came next would be answers to nobody.
   */
  write(chunk: Uint8Array): ParseFailure | undefined {
    if (this.failure !== undefined || this.stopped) {
      return this.failure
    }
    let bytes = chunk
    if (this.rest !== undefined) {
      bytes = new Uint8Array(this.rest.length + chunk.length)
      bytes.set(this.rest)
      bytes.set(chunk, this.rest.length)
      this.rest = undefined
    }
    try {
      this.run(bytes)
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
    this.frames.length = 0
    this.linePieces = new Pieces()
    this.body = empty
    this.stringParts = undefined
    this.rest = undefined
  }

  private run(bytes: Uint8Array): void {
    const end = bytes.length
    let at = 0
    this.start = 0
    if (this.state === State.Line) {
      at = this.continueLine(bytes)
    } else if (this.state === State.Body) {
      at = this.continueBody(bytes, 0)
    }
    while (at < end && !this.stopped) {
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
        if (letter !== 116 && letter !== 102) {
          throw new ParseFailure("a boolean that is neither #t nor #f")
        }
        return this.token(bytes, at + 2, end, letter === 116)
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
    // The body goes into one array of the announced size: each byte is copied once, and no chunk is kept.
    this.body = allocate(length)
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
    const length = body.length
    const end = bytes.length
    let at = from
    if (this.bodyFilled < length) {
      at = Math.min(end, from + length - this.bodyFilled)
      body.set(from === 0 && at === end ? bytes : bytes.subarray(from, at), this.bodyFilled)
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
        const format = utf8Decode(bytes, from, from + 3)
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
    if (this.openPushes === 0 ? this.text : this.pushText) {
      const text = utf8DecodeStrict(bytes, from, to)
      if (text !== undefined) {
        return text
      }
    }
    // In a chunk a body is never all there is, since CRLF follows: this is an array of our own.
    return from === 0 && to === bytes.length ? bytes : copy(bytes, from, to)
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
    if (this.frames.length >= this.limits.maxDepth) {
      throw new ParseFailure(`values nested deeper than ${this.limits.maxDepth}`)
    }
    const frame = new Frame(type, elements)
    if (type === GREATER) {
      this.openPushes++
    }
    if (elements === 0) {
      this.complete(frame, this.lengthEnd)
    } else {
      this.frames.push(frame)
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
    const frame = this.frames.at(-1)
    if (frame === undefined || frame.remaining !== -1) {
      throw new ParseFailure("a stream end outside a streamed aggregate")
    }
    if (frame.type === PERCENT && frame.items.length % 2 !== 0) {
      throw new ParseFailure("a streamed map that ends after a key")
    }
    this.frames.pop()
    this.complete(frame, at + 2)
    return at + 2
  }

  /**
   * A value is complete: it goes to its owner, or into the aggregate that is open. That may complete the aggregate, and
   * the one around it: a loop, because a depth that a user allows may be deeper than JavaScript's stack.
   */
  private emit(value: Reply, next: number): void {
    const frames = this.frames
    let item = value
    while (true) {
      // Not by what is at -1: to read outside of an array is ten times slower than its length.
      if (frames.length === 0) {
        this.endValue(next)
        return this.handler.onReply(item)
      }
      const frame = frames[frames.length - 1] as Frame
      frame.items.push(item)
      if (frame.remaining === -1) {
        if (frame.items.length > this.limits.maxAggregateLength) {
          throw new ParseFailure(`a streamed aggregate of more than ${this.limits.maxAggregateLength} elements`)
        }
        return
      }
      if (--frame.remaining !== 0) {
        return
      }
      frames.pop()
      const whole = this.close(frame, next)
      if (whole === undefined) {
        return
      }
      item = whole
    }
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
    if (this.frames.length === 0) {
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

/** There may be less memory than the limits allow, or less than one array may take. */
const allocate = (length: number): Uint8Array => {
  try {
    return new Uint8Array(length)
  } catch {
    throw new ParseFailure(`there is no memory for a value of ${length} bytes`)
  }
}

/** An error's text. The runtime's strings may be shorter than the longest line. */
const errorText = (bytes: Uint8Array, from: number, to: number): string =>
  utf8Decode(bytes, from, Math.min(to, from + longestString))

/** Real servers send `10`, `1e+300`, `inf` and, from C's printf, `-nan`. */
const readDouble = (bytes: Uint8Array, from: number, to: number): Reply => {
  const text = utf8Decode(bytes, from, Math.min(to, from + maxDoubleLength))
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
