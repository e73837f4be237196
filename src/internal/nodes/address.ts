/** Where a node is reached. */
export interface Address {
  readonly host: string
  readonly port: number
}

export const showAddress = ({ host, port }: Address): string => `${host}:${port}`

export const sameAddress = (a: Address, b: Address): boolean => a.host === b.host && a.port === b.port
