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

/** Exact up to so many digits, then rounded to three: 3^27 = 7.63e12. */
export function rounded(value: bigint, mostDigits: number): string {
  const digits = value.toString()
  if (digits.length <= mostDigits) return grouped(value)
  const head = (BigInt(digits.slice(0, 4)) + 5n) / 10n
  // 999.5 is rounded to a digit more.
  const [mantissa, exponent] = head === 1000n ? ['100', digits.length] : [`${head}`, digits.length - 1]
  return `${mantissa[0]}.${mantissa.slice(1)}e${exponent}`
}
