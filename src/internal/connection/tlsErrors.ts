/**
 * What the failures of sockets and of TLS mean: in words, and whether another attempt can succeed. It knows the codes of
 * Node and OpenSSL, and needs neither.
 */

/** OpenSSL's own failures. When a write meets one, Node says EPROTO. */
export const ofOpenSsl = (error: Error): boolean => /^(?:ERR_SSL_|EPROTO$)/.test(codeOf(error))

/**
 * Whether a failure of TLS is permanent: the certificate, the client's key or the versions do not fit, by this side's check
 * or by an alert of the server. Every other failure of OpenSSL comes from bytes that were changed or cut on their way, and
 * the next handshake may succeed.
 */
export const refusesTls = (error: Error): boolean => {
  if (!ofOpenSsl(error)) {
    // Verification (CERT_HAS_EXPIRED …), names (ERR_TLS_CERT_ALTNAME_INVALID), keys (ERR_OSSL_…).
    return true
  }
  const alert = /SSL alert number (\d+)/.exec(error.message)?.[1]
  return alert === undefined ? refusals.test(error.message) : refusingAlerts.has(Number(alert))
}

/** What OpenSSL says of a peer that does not speak TLS, or only versions that are not accepted here. */
const refusals =
  /wrong version number|packet length too long|http request|unsupported protocol|version too low|no protocols available|no ciphers available|key too small|md too weak|certificate verify failed|legacy renegotiation disabled/

/** Alerts (RFC 8446, 6.2) about certificates, names, versions and ciphers, the client's or the server's. */
const refusingAlerts = new Set([40, 41, 42, 43, 44, 45, 46, 48, 49, 60, 70, 71, 86, 112, 113, 115, 116, 120])

/** Failures below TLS. They say nothing against the next handshake. */
export const socketCodes = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
  "ENOENT",
  "EACCES",
  "EADDRNOTAVAIL"
])

export const codeOf = (error: Error): string => {
  const code = (error as { readonly code?: unknown }).code
  return typeof code === "string" ? code : ""
}

/** A socket's failure in words. */
export const explain = (error: Error): string => {
  switch (codeOf(error)) {
    case "CERT_HAS_EXPIRED":
      return "the certificate has expired"
    case "CERT_NOT_YET_VALID":
      return "the certificate is not valid yet"
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
      return "the certificate is self-signed: to trust it, give it as tls.ca"
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return "the certificate's authority is not known: give it as tls.ca"
    case "INVALID_PURPOSE":
      return "the certificate is not one for servers"
    case "ERR_OSSL_X509_KEY_VALUES_MISMATCH":
      return "tls.key is not the key of tls.cert"
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "ERR_SSL_PACKET_LENGTH_TOO_LONG":
      return "the peer does not speak TLS; use a redis:// URL, or the port that does"
    case "ERR_SSL_UNSUPPORTED_PROTOCOL":
      return noCommonVersion
    case "":
      return error.message
    default: {
      // Some of Node's aggregate errors have a code and no message.
      const text = error.message === "" ? codeOf(error) : error.message
      if (/wrong version number|packet length too long/.test(text)) {
        return "the peer does not speak TLS; use a redis:// URL, or the port that does"
      }
      if (/^ERR_OSSL_/.test(codeOf(error))) {
        return `tls.ca, tls.cert, tls.key or tls.passphrase cannot be used: ${text}`
      }
      // Newer versions say "ssl/tls alert" for what older ones called "sslv3 alert".
      const alert = /:(?:(?:ssl|tls)v[\d.]+|ssl\/tls) alert ([a-z ]+):/.exec(text)?.[1]
      const known = alert === undefined ? undefined : alerts.get(alert)
      if (known !== undefined) {
        return known
      }
      if (ofOpenSsl(error) && !refusesTls(error)) {
        return `TLS was broken on its way: ${alert ?? /routines:[^:]*:([^:]+):/.exec(text)?.[1] ?? text}`
      }
      return alert === undefined ? text : `the server ended TLS: ${alert}`
    }
  }
}

const noCommonVersion = "the server speaks no version of TLS that is taken here (tls.minVersion)"

/** Alerts of a server about the client's certificate or the offered versions, in words. */
const alerts = new Map([
  ["protocol version", noCommonVersion],
  ["certificate unknown", "the server does not take the client's certificate (tls.cert)"],
  ["unsupported certificate", "the server does not take the client's certificate (tls.cert)"],
  ["certificate required", "the server asks for a client's certificate: give tls.cert and tls.key"],
  ["handshake failure", "the server refused the TLS handshake; does it ask for a client's certificate (tls.cert)?"],
  ["unknown ca", "the server does not know the authority of the client's certificate (tls.cert)"],
  ["bad certificate", "the server does not take the client's certificate (tls.cert)"],
  ["certificate expired", "the client's certificate (tls.cert) has expired"]
])
