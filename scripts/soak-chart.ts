/** The soak's memory over its commands, as an SVG that stands alone. */

export interface Sample {
  readonly commands: number
  readonly seconds: number
  readonly heapUsed: number
  readonly external: number
  readonly rss: number
  readonly phase: string
}

const width = 960
const height = 420
const left = 70
const right = 20
const top = 50
const bottom = 50

/** A round number that is not below. */
const ceiling = (value: number): number => {
  const step = 10 ** Math.floor(Math.log10(value))
  return Math.ceil(value / (step / 2)) * (step / 2)
}

export const chart = (samples: ReadonlyArray<Sample>, floors: ReadonlyArray<Sample>, commands: number): string => {
  const most = ceiling(Math.max(...samples.map(({ rss }) => rss)) / 1024 / 1024)
  const x = (one: Sample): number => left + (one.commands / commands) * (width - left - right)
  const y = (bytes: number): number => height - bottom - (bytes / 1024 / 1024 / most) * (height - top - bottom)
  const line = (points: ReadonlyArray<Sample>, of: (one: Sample) => number): string =>
    points.map((one, i) => `${i === 0 ? "M" : "L"}${x(one).toFixed(1)} ${y(of(one)).toFixed(1)}`).join("")
  const series: ReadonlyArray<readonly [string, string, string, string]> = [
    ["RSS", "#9aa5b1", line(samples, ({ rss }) => rss), 'stroke-width="1"'],
    ["heap used", "#7cb5ec", line(samples, ({ heapUsed }) => heapUsed), 'stroke-width="1"'],
    ["external", "#f7c08a", line(samples, ({ external }) => external), 'stroke-width="1"'],
    ["heap used, after collection", "#0b5fa5", line(floors, ({ heapUsed }) => heapUsed), 'stroke-width="2.5"'],
    ["external, after collection", "#c05a00", line(floors, ({ external }) => external), 'stroke-width="2.5"']
  ]
  const grid = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const at = height - bottom - part * (height - top - bottom)
    return (
      `<line x1="${left}" y1="${at}" x2="${width - right}" y2="${at}" stroke="#e3e6ea"/>` +
      `<text x="${left - 8}" y="${at + 4}" text-anchor="end">${Math.round(part * most)} MB</text>`
    )
  })
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const at = left + part * (width - left - right)
    const label = `${((part * commands) / 1e6).toFixed(commands < 4e6 ? 2 : 1)} million`
    return `<text x="${at}" y="${height - bottom + 20}" text-anchor="middle">${label}</text>`
  })
  const legend = series.map(
    ([name, color], i) =>
      `<rect x="${left + i * 175}" y="16" width="14" height="4" fill="${color}"/>` +
      `<text x="${left + i * 175 + 20}" y="22">${name}</text>`
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">
<title>Memory of the soak, by commands</title>
<rect width="${width}" height="${height}" fill="#ffffff"/>
${grid.join("\n")}
${ticks.join("\n")}
${legend.join("\n")}
${series.map(([, color, path, style]) => `<path d="${path}" fill="none" stroke="${color}" ${style}/>`).join("\n")}
<text x="${width / 2}" y="${height - 8}" text-anchor="middle">commands</text>
</svg>
`
}
