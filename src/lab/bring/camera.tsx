// Pictures of the camera, a button for each class.

import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { z } from 'zod'
import { messageOf } from '../../core/errors.js'
import type { PageFile } from '../../web/files.js'
import { TextField } from '../ui/fields.js'

/** Height and width of what is kept of a picture. */
const SIDE = 256

/** Why there is no camera, in a line. */
function refusal(error: unknown): string {
  if (error instanceof DOMException && error.name === 'NotAllowedError')
    return 'This browser does not let the page use the camera: allow it in the browser’s settings for this page, or choose files.'
  if (error instanceof DOMException && (error.name === 'NotFoundError' || error.name === 'OverconstrainedError'))
    return 'There is no camera here: choose files.'
  return `The camera does not work (${messageOf(error)}): choose files.`
}

interface CameraProps {
  /** A button for each. */
  readonly buttons: readonly (readonly [id: string, text: string])[]
  readonly onPicture: (id: string, picture: Blob) => void
}

/** What the camera sees, once it was asked for, and buttons that keep it. */
export function Camera({ buttons, onPicture }: CameraProps) {
  const video = useRef<HTMLVideoElement>(null)
  const stream = useSignal<MediaStream | undefined>(undefined)
  const problem = useSignal<string | undefined>(undefined)
  const isReady = useSignal(false)
  useEffect(() => {
    if (video.current) video.current.srcObject = stream.value ?? null
  }, [stream.value])
  const close = () => {
    for (const track of stream.peek()?.getTracks() ?? []) track.stop()
  }
  useEffect(() => close, [])
  const open = async () => {
    problem.value = undefined
    try {
      if (!navigator.mediaDevices) throw new DOMException('', 'NotFoundError')
      stream.value = await navigator.mediaDevices.getUserMedia({ video: { width: 640, facingMode: 'environment' } })
    } catch (error) {
      problem.value = refusal(error)
    }
  }
  const shoot = (id: string) => {
    const seen = video.current!
    const side = Math.min(seen.videoWidth, seen.videoHeight)
    const canvas = document.createElement('canvas')
    canvas.width = SIDE
    canvas.height = SIDE
    const [x, y] = [(seen.videoWidth - side) / 2, (seen.videoHeight - side) / 2]
    canvas.getContext('2d')!.drawImage(seen, x, y, side, side, 0, 0, SIDE, SIDE)
    canvas.toBlob((picture) => picture && onPicture(id, picture), 'image/png')
  }
  return (
    <div class="camera">
      {stream.value ? (
        <>
          <video
            ref={video}
            autoplay
            muted
            playsInline
            aria-label="what the camera sees"
            onLoadedData={() => {
              isReady.value = true
            }}
          />
          <div class="row">
            {buttons.map(([id, text]) => (
              <button key={id} type="button" disabled={!isReady.value} onClick={() => shoot(id)}>
                {text}
              </button>
            ))}
            <button
              type="button"
              onClick={() => {
                close()
                stream.value = undefined
                isReady.value = false
              }}
            >
              Turn the camera off
            </button>
          </div>
        </>
      ) : (
        <button type="button" onClick={() => void open()}>
          Use the camera
        </button>
      )}
      <p class="problem" role="alert" hidden={problem.value === undefined}>
        {problem.value}
      </p>
    </div>
  )
}

const classNames: z.ZodType<readonly string[], string> = z.string().transform((text, context) => {
  const names = text.split(',').map((name) => name.trim())
  if (names.length > 1 && names.every((name) => /^[^./\\][^/\\]*$/.test(name)) && new Set(names).size === names.length)
    return names
  context.addIssue('write two names and more, with commas between')
  return z.NEVER
})

/** Fewest pictures of a class: of five one is held out. */
const LEAST = 3

/** A data set of pictures by class. */
export function CameraData({ onPictures }: { readonly onPictures: (files: readonly PageFile[]) => void }) {
  const names = useSignal<readonly string[]>(['this', 'that'])
  const taken = useSignal<readonly PageFile[]>([])
  const of = (name: string) => taken.value.filter(({ path }) => path.startsWith(`camera/${name}/`)).length
  const least = Math.min(...names.value.map(of))
  return (
    <>
      <TextField
        label="Classes"
        value={names.value}
        format={(value) => value.join(', ')}
        schema={classNames}
        onChange={(next) => {
          if (next.join() === names.value.join()) return
          names.value = next
          taken.value = taken.value.filter(({ path }) => next.includes(path.split('/')[1]!))
        }}
      />
      <Camera
        buttons={names.value.map((name) => [name, `${name} (${of(name)})`])}
        onPicture={(name, content) => {
          taken.value = [...taken.value, { path: `camera/${name}/${taken.value.length}.png`, content }]
        }}
      />
      <div class="row">
        <button type="button" disabled={least < LEAST} onClick={() => onPictures(taken.value)}>
          Take these {taken.value.length} pictures
        </button>
        {least < LEAST && <span class="hint">Three of each class at least; twenty are better.</span>}
      </div>
    </>
  )
}
