// Which version of us this is, for files that we write. A test holds it against package.json.
export const version = '0.1.0'
