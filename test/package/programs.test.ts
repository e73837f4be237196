import { describe, expect, it } from "vitest"
import { mismatch, promised } from "../../scripts/programs.js"

describe("the `// prints:` comment of a program", () => {
  it("is read from the end of the program", () => {
    expect(promised("const a = 1\n\n// prints:\n//   one\n//     two\n//\n//   …\n")).toEqual(["one", "  two", "", "…"])
    expect(promised("const a = 1\n")).toBeUndefined()
    expect(promised("// prints:\n//   one\nconst a = 1\n")).toBeUndefined()
  })

  it("is compared with the output line by line", () => {
    expect(mismatch(["one", "two"], ["one", "two"])).toBeUndefined()
    expect(mismatch(["one", "two"], ["one", "three"])).toContain("line 2")
    expect(mismatch(["one", "two"], ["one"])).toContain("it ended before: two")
    expect(mismatch(["one"], ["one", "two"])).toContain("nothing more was promised")
  })

  it("may replace parts of a line and whole lines by `…`", () => {
    expect(mismatch(["in … ms (…)", "…", "end"], ["in 12 ms (x)", "a", "b", "end"])).toBeUndefined()
    expect(mismatch(["…", "end"], ["end"])).toBeUndefined()
    expect(mismatch(["…"], [])).toBeUndefined()
    expect(mismatch(["…", "end"], ["a", "b"])).toContain("nothing fits: end")
    expect(mismatch(["a.c (1)"], ["abc (1)"])).toContain("line 1")
  })
})
