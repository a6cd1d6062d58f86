// HTML by template literals: what is put into one is escaped, unless it is HTML itself.

export class Html {
  constructor(readonly text: string) {}
}

export type Content = Html | string | number | undefined | readonly Content[]

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function textOf(content: Content): string {
  if (content instanceof Html) return content.text
  if (content === undefined) return ''
  if (typeof content === 'object') return content.map(textOf).join('')
  return `${content}`.replace(/[&<>"']/g, (character) => entities[character]!)
}

/** Texts, numbers and lists of them, escaped; attributes that hold them need quotation marks around them. */
export const html = (parts: TemplateStringsArray, ...contents: readonly Content[]): Html =>
  new Html(parts.reduce((text, part, i) => text + textOf(contents[i - 1]) + part))

/** Text that is HTML already, and ours. */
export const raw = (text: string): Html => new Html(text)

/** Data for a script, in an element of type application/json: no text in it can end the element. */
export const jsonText = (value: unknown): Html => raw(JSON.stringify(value).replaceAll('<', '\\u003c'))
