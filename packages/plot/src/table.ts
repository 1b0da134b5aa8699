// table: rows under headings in a terminal, numbers to the right and text to the left.

/** What `table` shows; a cell that is null or undefined is left blank. */
export type TableOptions = {
  title?: string
  columns: readonly string[]
  rows: readonly (readonly (string | number | bigint | boolean | null | undefined)[])[]
  /** How each column is set; by default numbers to the right and text to the left. */
  align?: readonly ('left' | 'right')[]
  /** Lines are cut at this many characters. */
  width?: number
}

const GAP = '  '

/**
 * The rows as text, one line each, under the headings and a rule. A column of numbers only is set to the right with as
 * many decimals as its longest has. Throws a RangeError for a row that has not one cell for each column.
 */
export function table({ title, columns, rows, align, width = Number.POSITIVE_INFINITY }: TableOptions): string {
  rows.forEach((row, i) => {
    if (row.length !== columns.length) {
      throw new RangeError(`table: row ${i} has ${row.length} cells for ${columns.length} columns`)
    }
  })
  const set = columns.map((heading, j) =>
    setColumn(
      heading,
      rows.map((row) => row[j]),
      align?.[j],
    ),
  )
  const line = (i: number) =>
    clip(
      set
        .map((cells) => cells[i])
        .join(GAP)
        .trimEnd(),
      width,
    )
  const rule = clip('─'.repeat(set.reduce((sum, [heading]) => sum + heading.length + GAP.length, -GAP.length)), width)
  const body = rows.map((_, i) => line(i + 1))
  return [...(title ? [title, ''] : []), line(0), rule, ...body].join('\n')
}

/** The heading and the cells of one column, padded to one width. */
function setColumn(
  heading: string,
  cells: readonly TableOptions['rows'][number][number][],
  align?: 'left' | 'right',
): string[] {
  const given = cells.filter((cell) => cell !== null && cell !== undefined)
  const isNumeric = given.length > 0 && given.every((cell) => typeof cell === 'number' || typeof cell === 'bigint')
  const decimals = Math.max(0, ...given.map(decimalsOf))
  const texts = cells.map((cell) => {
    if (cell === null || cell === undefined) return ''
    return isNumeric && typeof cell === 'number' && !/e|N|I/.test(`${cell}`) ? cell.toFixed(decimals) : String(cell)
  })
  const wide = Math.max(heading.length, ...texts.map((text) => text.length))
  return [heading, ...texts].map((text) =>
    (align ? align === 'right' : isNumeric) ? text.padStart(wide) : text.padEnd(wide),
  )
}

function decimalsOf(cell: unknown): number {
  return typeof cell === 'number' ? (/^-?\d+\.(\d+)$/.exec(String(cell))?.[1].length ?? 0) : 0
}

function clip(line: string, width: number): string {
  return line.length > width ? `${line.slice(0, width - 1)}…` : line
}
