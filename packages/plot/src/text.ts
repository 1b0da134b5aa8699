// How wide text is in the figures' font, without a browser or canvas to ask.

// Advance widths of Inter Regular in hundredths of the font size, rounded up to a few classes.
const WIDTHS = new Map<string, number>()
for (const [width, signs] of [
  [28, "ijlI !,.:;'|t`"],
  [38, '()/[\\]fr1{}'],
  [50, '-_"^*?s'],
  [57, 'kxzavyJL7c'],
  [62, 'e5FhnuEo2bdgpq3689'],
  [66, '#0Z$&PRS4BT+<=>~'],
  [76, 'KXYAVDCHUGNOQ'],
  [90, 'wmM'],
  [99, '@%W'],
] as const) {
  for (const sign of signs) WIDTHS.set(sign, width)
}
const OTHER_WIDTH = 65
const BOLD = 1.05

/** The width of one line of text, in the unit of `fontSize`. */
export function textWidth(text: string, fontSize: number, bold = false): number {
  let hundredths = 0
  for (const sign of text) hundredths += WIDTHS.get(sign) ?? OTHER_WIDTH
  return (hundredths / 100) * fontSize * (bold ? BOLD : 1)
}

/** Breaks text at spaces into lines that `measure` finds no wider than `width`, where words allow it. */
export function wrap(text: string, width: number, measure: (line: string) => number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const longer = lines.length > 0 ? `${lines[lines.length - 1]} ${word}` : word
    if (lines.length > 0 && measure(longer) <= width) lines[lines.length - 1] = longer
    else lines.push(word)
  }
  return lines
}
