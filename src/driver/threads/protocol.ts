// How requests and answers cross between the main thread and a worker thread.

/** Requests are told apart by their kind. */
export interface Kinds {
  readonly kind: string
}

export interface Envelope<R extends Kinds> {
  readonly id: number
  readonly request: R
}

export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: { readonly message: string; readonly user: boolean } }
