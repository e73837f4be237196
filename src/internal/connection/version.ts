/** The package's version, as CLIENT SETINFO tells it to servers. A test holds it against package.json. */
export const version = "0.1.0"
