// Schemas of what files and command lines hold, by the small form of zod: whoever bundles this floor for a page carries only what
// is used of it.

import * as z from 'zod/mini'

// The small form says nothing in words unless it is told to.
z.config(z.locales.en())

export { z }

/** Text that says something: `read` says it, or reports what is wrong and gives `z.NEVER`. */
export const fromText = <T>(read: (text: string, report: (message: string) => void) => T): z.ZodMiniType<T, string> =>
  z.pipe(
    z.string(),
    z.transform((text: string, context) =>
      read(text, (message) => context.issues.push({ code: 'custom', input: text, message })),
    ),
  )
