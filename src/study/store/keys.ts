// Keys of stores.

/** Others may have put into a store what is no key of ours: none of it is listed. */
export const isKey = (key: string): boolean =>
  key.split('/').every((name) => /^[\w.-]+$/.test(name) && name !== '.' && name !== '..')
