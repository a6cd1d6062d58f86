// Where files come from: dropped, or chosen by a button.

import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { droppedFiles, type PageFile } from '../../web/files.js'

interface DropProps {
  readonly onFiles: (files: Promise<readonly PageFile[]>) => void
  readonly children: ComponentChildren
}

/** A place to drop files and folders at. The buttons in it do the same for the keyboard. */
export function Drop({ onFiles, children }: DropProps) {
  const isOver = useSignal(false)
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: for the pointer; the buttons in it do the same
    <div
      class={`drop ${isOver.value ? 'over' : ''}`}
      onDragOver={(event) => {
        event.preventDefault()
        isOver.value = true
      }}
      onDragLeave={() => {
        isOver.value = false
      }}
      onDrop={(event) => {
        event.preventDefault()
        isOver.value = false
        onFiles(droppedFiles(event.dataTransfer as unknown as Parameters<typeof droppedFiles>[0]))
      }}
    >
      {children}
    </div>
  )
}

interface FileButtonProps {
  readonly label: string
  readonly folder?: boolean
  readonly multiple?: boolean
  /** Kinds of files that are offered: `.onnx`, `image/*`. */
  readonly accept?: string
  readonly onFiles: (files: FileList) => void
}

/** A field for files that looks like a button. */
export const FileButton = ({ label, folder = false, multiple = true, accept, onFiles }: FileButtonProps) => (
  <label class="button">
    {label}
    <input
      type="file"
      {...{ multiple, accept, webkitdirectory: folder }}
      onChange={({ currentTarget }) => {
        if (currentTarget.files?.length) onFiles(currentTarget.files)
        currentTarget.value = ''
      }}
    />
  </label>
)
