/** What runs once before all tests and after them. */
import { reset, summary } from "./support/liveMatrix.js"

export default async () => {
  reset()
  return () => {
    const line = summary()
    if (line !== undefined) {
      console.log(line)
    }
  }
}
