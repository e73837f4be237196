/** Charts, as SVG that reads well on light and dark pages. */
import type { RowResult } from "./report.js"

const escape = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;")

/** Told apart by lightness, too. */
const colours = ["#2563eb", "#60a5fa", "#b45309", "#f59e0b", "#047857", "#34d399", "#7c3aed", "#c4b5fd", "#6b7280"]

const style = `<style>
text { font: 12px system-ui, sans-serif; fill: #1f2937 }
.small { font-size: 11px; fill: #6b7280 }
.title { font-size: 15px; font-weight: 600 }
.grid { stroke: #d1d5db; stroke-width: 1 }
.one { stroke: #6b7280; stroke-width: 1; stroke-dasharray: 4 3 }
.back { fill: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #e5e7eb } .small { fill: #9ca3af } .grid { stroke: #374151 } .back { fill: #0d1117 }
}
</style>`

const svg = (width: number, height: number, title: string, body: ReadonlyArray<string>): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escape(title)}</title>`,
    style,
    `<rect class="back" width="${width}" height="${height}"/>`,
    ...body,
    "</svg>",
    ""
  ].join("\n")

const label = (x: number, y: number, text: string, kind = "", anchor = "start"): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}"${kind === "" ? "" : ` class="${kind}"`} text-anchor="${anchor}">` +
  `${escape(text)}</text>`

/** Wraps at spaces, at so many characters. */
const wrapped = (text: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (`${line} ${word}`.length > width && line !== "") {
      lines.push(line)
      line = word
    } else {
      line = line === "" ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}

const short = (value: number): string =>
  value >= 1e6
    ? `${+(value / 1e6).toPrecision(3)} M`
    : value >= 1e4
      ? `${Math.round(value / 1e3)} k`
      : value >= 1e3
        ? `${+(value / 1e3).toPrecision(2)} k`
        : `${+value.toPrecision(3)}`

/** Bars: each row's throughput relative to one contestant. */
export const bars = (
  results: ReadonlyArray<RowResult>,
  shown: ReadonlyArray<readonly [contestant: string, title: string]>,
  reference: string,
  title: string,
  footnote: string
): string => {
  const left = 150
  const width = 900
  const most = 3.5
  const scale = (width - left - 110) / most
  const barHeight = 11
  const body = [label(16, 26, title, "title")]
  let y = 40
  shown.forEach(([, name], i) => {
    const x = 16 + (i % 3) * 290
    const at = y + Math.floor(i / 3) * 18
    body.push(`<rect x="${x}" y="${at}" width="12" height="12" fill="${colours[i]}"/>`, label(x + 18, at + 10, name))
  })
  y += Math.ceil(shown.length / 3) * 18 + 14
  const top = y
  for (const { figures, name } of results) {
    const speedOf = (contestant: string) =>
      figures.find((figure) => figure.contestant === contestant)?.operationsPerSecond
    const one = speedOf(reference)
    if (one === undefined) {
      continue
    }
    body.push(label(left - 10, y + (shown.length * barHeight) / 2 + 4, name, "", "end"))
    shown.forEach(([contestant], i) => {
      const speed = speedOf(contestant)
      const at = y + i * barHeight
      if (speed === undefined) {
        body.push(label(left + 4, at + 9, "—", "small"))
        return
      }
      const relative = speed / one
      const length = Math.min(relative, most) * scale
      body.push(
        `<rect x="${left}" y="${at}" width="${length.toFixed(1)}" height="${barHeight - 2}" fill="${colours[i]}"/>`,
        label(left + length + 5, at + 9, `${relative.toFixed(2)}${i === 0 ? `   ${short(speed)}/s` : ""}`, "small")
      )
    })
    y += shown.length * barHeight + 10
  }
  body.push(`<line class="one" x1="${left + scale}" y1="${top - 4}" x2="${left + scale}" y2="${y - 6}"/>`)
  y += 8
  for (const line of wrapped(footnote, 145)) {
    body.push(label(16, y, line, "small"))
    y += 15
  }
  return svg(width, y + 4, title, body)
}

export interface Panel {
  readonly title: string
  readonly x: string
  readonly lines: ReadonlyArray<{
    readonly name: string
    readonly points: ReadonlyArray<readonly [x: number, y: number]>
  }>
}

/** Line charts with logarithmic axes, two beside each other. */
export const panels = (all: ReadonlyArray<Panel>, title: string, footnote: string): string => {
  const width = 1000
  const panelWidth = 480
  const panelHeight = 300
  const names = [...new Set(all.flatMap(({ lines }) => lines.map(({ name }) => name)))]
  const body = [label(16, 26, title, "title")]
  let y = 42
  names.forEach((name, i) => {
    const x = 16 + (i % 4) * 240
    const at = y + Math.floor(i / 4) * 18
    body.push(`<rect x="${x}" y="${at + 4}" width="16" height="4" fill="${colours[i]}"/>`, label(x + 22, at + 10, name))
  })
  y += Math.ceil(names.length / 4) * 18 + 12
  all.forEach(({ lines, title, x: xTitle }, index) => {
    const points = lines.flatMap(({ points }) => points).filter(([x, y]) => x > 0 && y > 0)
    if (points.length === 0) {
      return
    }
    const originX = 16 + (index % 2) * (panelWidth + 8) + 52
    const originY = y + Math.floor(index / 2) * (panelHeight + 20) + 26
    const plotWidth = panelWidth - 80
    const plotHeight = panelHeight - 80
    const log = Math.log10
    const low = (i: 0 | 1) => Math.min(...points.map((point) => log(point[i])))
    const high = (i: 0 | 1) => Math.max(...points.map((point) => log(point[i])))
    const [fromX, toX, fromY, toY] = [low(0), Math.max(high(0), low(0) + 0.1), Math.floor(low(1)), Math.ceil(high(1))]
    const atX = (value: number) => originX + ((log(value) - fromX) / (toX - fromX)) * plotWidth
    const atY = (value: number) => originY + plotHeight - ((log(value) - fromY) / Math.max(1, toY - fromY)) * plotHeight
    body.push(label(originX - 40, originY - 10, title))
    for (let power = fromY; power <= toY; power++) {
      const at = atY(10 ** power)
      body.push(
        `<line class="grid" x1="${originX}" y1="${at.toFixed(1)}" x2="${originX + plotWidth}" y2="${at.toFixed(1)}"/>`,
        label(originX - 6, at + 4, short(10 ** power), "small", "end")
      )
    }
    for (const value of [...new Set(points.map(([x]) => x))]) {
      body.push(label(atX(value), originY + plotHeight + 16, short(value), "small", "middle"))
    }
    body.push(label(originX + plotWidth / 2, originY + plotHeight + 34, xTitle, "small", "middle"))
    for (const { name, points } of lines) {
      const colour = colours[names.indexOf(name)] ?? "#000000"
      const path = points
        .filter(([x, y]) => x > 0 && y > 0)
        .map(([x, y]) => `${atX(x).toFixed(1)},${atY(y).toFixed(1)}`)
      body.push(`<polyline points="${path.join(" ")}" fill="none" stroke="${colour}" stroke-width="2"/>`)
      body.push(
        ...path.map((at) => `<circle cx="${at.split(",")[0]}" cy="${at.split(",")[1]}" r="2.5" fill="${colour}"/>`)
      )
    }
  })
  y += Math.ceil(all.length / 2) * (panelHeight + 20) + 10
  for (const line of wrapped(footnote, 165)) {
    body.push(label(16, y, line, "small"))
    y += 15
  }
  return svg(width, y + 4, title, body)
}
