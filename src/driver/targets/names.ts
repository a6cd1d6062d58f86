// What the targets are called: for settings, which name one without loading any.

/** In the order of the registry, which has a target for each. */
export const ownTargetNames = ['portable', 'ort-cpu', 'ort-cuda', 'ort-webgpu', 'ort-training'] as const
export type OwnTargetName = (typeof ownTargetNames)[number]

/** `auto` takes the fastest target that gives the right step here. */
export const targetNames = ['auto', ...ownTargetNames] as const
/** One of {@link targetNames}. */
export type TargetName = (typeof targetNames)[number]
