/*
 * Certificates for tests: a certificate authority and the certificates that it signs. X.509 is a small, fixed structure
 * and node:crypto makes the keys and the signatures, so neither the openssl program nor a package is needed.
 *
 * Not for production: the keys are kept in memory and in temporary folders, and no certificate can be revoked.
 */
import * as Crypto from "node:crypto"
import * as Net from "node:net"

const tagged = (tag: number, ...contents: ReadonlyArray<Uint8Array>): Buffer => {
  const content = Buffer.concat(contents)
  const length =
    content.length < 0x80
      ? [content.length]
      : content.length < 0x100
        ? [0x81, content.length]
        : [0x82, content.length >> 8, content.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

const sequence = (...contents: ReadonlyArray<Uint8Array>) => tagged(0x30, ...contents)
const setOf = (...contents: ReadonlyArray<Uint8Array>) => tagged(0x31, ...contents)
const octets = (content: Uint8Array) => tagged(0x04, content)
const bits = (content: Uint8Array, unused = 0) => tagged(0x03, Buffer.from([unused]), content)
const truth = tagged(0x01, Buffer.from([0xff]))
const text = (value: string) => tagged(0x0c, Buffer.from(value, "utf8"))

/** A positive integer: with a leading zero, a set top bit does not mean a negative number. */
const integer = (bytes: Uint8Array) =>
  tagged(0x02, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes)

const objectId = (dotted: string) => {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number)
  const bytes = [first * 40 + second]
  for (const part of rest) {
    const groups = [part & 0x7f]
    for (let left = part >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80)
    bytes.push(...groups)
  }
  return tagged(0x06, Buffer.from(bytes))
}

/** The standard requires years with two digits up to 2049, and with four digits from 2050 on. */
const time = (date: Date) => {
  const digits = `${date.toISOString().replace(/[-:T]|\.\d+/g, "")}`
  return date.getUTCFullYear() < 2050
    ? tagged(0x17, Buffer.from(digits.slice(2), "latin1"))
    : tagged(0x18, Buffer.from(digits, "latin1"))
}

const commonName = (name: string) => sequence(setOf(sequence(objectId("2.5.4.3"), text(name))))

const extension = (id: string, value: Uint8Array, critical = false) =>
  sequence(objectId(id), ...(critical ? [truth] : []), octets(value))

const ipBytes = (address: string): Buffer => {
  if (Net.isIPv4(address)) return Buffer.from(address.split(".").map(Number))
  const [head = "", tail] = address.split("::")
  const words = (part: string) => (part === "" ? [] : part.split(":").map((word) => Number.parseInt(word, 16)))
  const before = words(head)
  const after = tail === undefined ? [] : words(tail)
  const all = [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after]
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 0xff]))
}

const alternativeName = (name: string) =>
  Net.isIP(name) === 0 ? tagged(0x82, Buffer.from(name, "latin1")) : tagged(0x87, ipBytes(name))

const ecdsaWithSha256 = sequence(objectId("1.2.840.10045.4.3.2"))
const serverAuth = "1.3.6.1.5.5.7.3.1"
const clientAuth = "1.3.6.1.5.5.7.3.2"

/** A certificate, its private key, and the data that signing other certificates needs. */
export interface Issued {
  /** PEM. */
  readonly cert: string
  /** PEM (PKCS #8). */
  readonly key: string
  readonly name: string
  readonly privateKey: Crypto.KeyObject
  readonly keyId: Buffer
}

/** What a certificate is for. */
export interface Request {
  readonly name: string
  readonly use: "authority" | "server" | "client"
  /** The DNS names and IP addresses of a server. */
  readonly names?: ReadonlyArray<string> | undefined
  readonly notBefore: Date
  readonly notAfter: Date
}

/** Makes a key pair and a certificate for it, signed by `issuer`, or by its own key. */
export const issue = (request: Request, issuer?: Issued): Issued => {
  const { privateKey, publicKey } = Crypto.generateKeyPairSync("ec", { namedCurve: "prime256v1" })
  const keyInfo = publicKey.export({ format: "der", type: "spki" })
  const keyId = Crypto.createHash("sha1").update(keyInfo).digest()
  const authority = request.use === "authority"
  const extensions = [
    extension("2.5.29.19", sequence(...(authority ? [truth] : [])), true),
    // An authority signs certificates and revocation lists; other keys sign handshakes.
    extension("2.5.29.15", authority ? bits(Buffer.from([0x06]), 1) : bits(Buffer.from([0x80]), 7), true),
    extension("2.5.29.14", octets(keyId)),
    extension("2.5.29.35", sequence(tagged(0x80, issuer?.keyId ?? keyId)))
  ]
  if (!authority) {
    // A server's certificate is also a client's: replicas and cluster nodes connect to each other with it.
    const uses = request.use === "server" ? [serverAuth, clientAuth] : [clientAuth]
    extensions.push(extension("2.5.29.37", sequence(...uses.map(objectId))))
  }
  if (request.names !== undefined && request.names.length > 0) {
    extensions.push(extension("2.5.29.17", sequence(...request.names.map(alternativeName))))
  }
  const serial = Crypto.randomBytes(16)
  serial[0] = 0x40 | ((serial[0] ?? 0) & 0x3f) // Positive, and without a superfluous leading zero.
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))), // version 3
    integer(serial),
    ecdsaWithSha256,
    commonName(issuer?.name ?? request.name),
    sequence(time(request.notBefore), time(request.notAfter)),
    commonName(request.name),
    keyInfo,
    tagged(0xa3, sequence(...extensions))
  )
  const signature = Crypto.sign("sha256", body, issuer?.privateKey ?? privateKey)
  const base64 = sequence(body, ecdsaWithSha256, bits(signature)).toString("base64")
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{1,64}/g, "$&\n")}-----END CERTIFICATE-----\n`,
    key: `${privateKey.export({ format: "pem", type: "pkcs8" })}`,
    name: request.name,
    privateKey,
    keyId
  }
}
