// Tables for people: columns of equal width, those of numbers aligned to the right.

/** The first row is the header; a line each, ended by a newline. */
export function table(rows: readonly (readonly string[])[]): string {
  const columns = rows[0]!.map((_, column) => {
    const cells = rows.map((row) => row[column]!)
    const width = Math.max(...cells.map((cell) => cell.length))
    const numeric = cells.slice(1).every((cell) => /^[\d,.]+$/.test(cell))
    return cells.map((cell) => (numeric ? cell.padStart(width) : cell.padEnd(width)))
  })
  const line = (row: number) => columns.map((cells) => cells[row]).join('  ')
  return rows.map((_, row) => `${line(row).trimEnd()}\n`).join('')
}

/** 1234567 → 1,234,567 */
export const grouped = (value: number | bigint): string => value.toLocaleString('en-US')
