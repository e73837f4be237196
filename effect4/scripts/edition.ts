/** For which Effect these sources are. */
export const edition: 3 | 4 = 4
