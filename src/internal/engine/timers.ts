/**
 * What timers of JavaScript can do.
 */

/** The longest that `setTimeout` can wait, in milliseconds (24.8 days). With a longer time it fires at once. */
export const longestTimer = 0x7fff_ffff
