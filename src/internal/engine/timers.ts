/**
 * A fact about the runtime's timers. This file starts no timer.
 */

/** The longest delay that `setTimeout` accepts, in milliseconds. A timer with a longer delay fires at once. */
export const longestTimer = 0x7fff_ffff
