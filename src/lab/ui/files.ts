// Files that the page gives to the user.

/** Hands bytes to the browser's downloads. */
export function saveFile(name: string, bytes: Uint8Array<ArrayBuffer>): void {
  const url = URL.createObjectURL(new Blob([bytes], { type: 'application/octet-stream' }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  // The download has begun when this task is over.
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

/** 1234567 → 1.23 MB */
export function sizeText(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`
  const [size, unit] = bytes < 1e6 ? [bytes / 1e3, 'kB'] : [bytes / 1e6, 'MB']
  return `${size.toPrecision(3)} ${unit}`
}
