/** For which Effect these sources are. The edition for Effect 4 has a file of its own here. */
export const edition: 3 | 4 = 3
