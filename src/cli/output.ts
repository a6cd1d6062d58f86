// What commands print.

/** Characters that no text of ours has: a terminal obeys some of them, and others turn around what stands after them. */
const unseen = /[^\P{C}\n\t]|[\p{Zl}\p{Zp}]/gu

const escaped = (character: string): string =>
  [...Array(character.length).keys()].map((i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')

/**
 * Text with what names in files may have brought in written out, as JSON writes it: what is JSON stays the same value. To be
 * called on all that is printed.
 */
export const printable = (text: string): string => text.replace(unseen, escaped)

/** Prints to standard output. */
export const print = (text: string): void => void process.stdout.write(printable(text))
