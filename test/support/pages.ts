/** Markdown pages: what they link to, and which places links can lead to. */

/** A text without what its readers do not see, since it is for the other edition. Lines keep their numbers. */
export const withoutOtherEdition = (text: string): string =>
  text.replace(/<!-- effect 4\s[\s\S]*?-->/g, (comment) => comment.replace(/[^\n]/g, ""))

/** A text without its blocks of code. Lines keep their numbers. */
const withoutBlocks = (text: string): string =>
  withoutOtherEdition(text).replace(/^( *)```[\s\S]*?^\1```/gm, (block) => block.replace(/[^\n]/g, ""))

export interface PageLink {
  readonly line: number
  readonly target: string
}

/** The links and images of a page that lead to files or to headings: not those to other sites. */
export const linksOf = (text: string): ReadonlyArray<PageLink> =>
  withoutBlocks(text)
    .split("\n")
    .flatMap((line, index) =>
      [...line.replace(/`[^`]*`/g, "").matchAll(/\]\(([^)\s]+)\)/g)]
        .map(([, target = ""]) => ({ line: index + 1, target }))
        .filter(({ target }) => !/^[a-z]+:/.test(target))
    )

/** The anchor of a heading, as GitHub makes it. */
export const slug = (heading: string): string =>
  heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replace(/ /g, "-")

/** The anchors of a page's headings. A heading that comes again has a number at its end. */
export const anchorsOf = (text: string): ReadonlySet<string> => {
  const anchors = new Set<string>()
  for (const [, heading = ""] of withoutBlocks(text).matchAll(/^#{1,6} (.+)$/gm)) {
    const name = slug(heading.trim())
    let anchor = name
    for (let again = 1; anchors.has(anchor); again++) anchor = `${name}-${again}`
    anchors.add(anchor)
  }
  return anchors
}
