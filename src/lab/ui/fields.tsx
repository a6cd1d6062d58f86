// Fields: each has a label, and says in a line below it what is wrong with what was typed.

import type { ComponentChildren } from 'preact'
import { useEffect, useId, useState } from 'preact/hooks'
import type { z } from 'zod'
import { decimalNumber, wholeNumber } from '../../study/text.js'

interface TextFieldProps<T> {
  readonly label: string
  readonly hint?: string
  readonly value: T
  /** The text that says the value. */
  readonly format: (value: T) => string
  readonly schema: z.ZodType<T, string>
  /** What it says does not fit is shown below the field. */
  readonly onChange: (value: T) => void
  readonly inputMode?: 'numeric' | 'decimal' | 'text'
  readonly placeholder?: string
  readonly disabled?: boolean
  /** Adds so many to the value, for the arrow keys. */
  readonly step?: (value: T, by: 1 | -1) => string
}

/** A line of text that means a value. The value changes when the text can be read. */
export function TextField<T>({ label, hint, value, format, schema, onChange, step, ...rest }: TextFieldProps<T>) {
  const id = useId()
  const [text, setText] = useState(format(value))
  const [problem, setProblem] = useState<string | undefined>(undefined)
  const said = format(value)
  useEffect(() => {
    setText(said)
    setProblem(undefined)
  }, [said])
  const take = (next: string) => {
    setText(next)
    const read = schema.safeParse(next)
    if (!read.success) return setProblem(read.error.issues[0]!.message)
    try {
      onChange(read.data)
      setProblem(undefined)
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
    }
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const by = event.key === 'ArrowUp' ? 1 : event.key === 'ArrowDown' ? -1 : undefined
    if (by === undefined || !step) return
    event.preventDefault()
    take(step(value, by))
  }
  const notes = [hint === undefined ? '' : `${id}-hint`, problem === undefined ? '' : `${id}-problem`].join(' ').trim()
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="text"
        autocomplete="off"
        spellcheck={false}
        value={text}
        aria-invalid={problem !== undefined}
        aria-describedby={notes || undefined}
        onInput={(event) => take(event.currentTarget.value)}
        onKeyDown={onKeyDown}
        {...rest}
      />
      {hint !== undefined && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {problem !== undefined && (
        <p class="problem" id={`${id}-problem`} role="alert">
          {problem}
        </p>
      )}
    </div>
  )
}

interface NumberFieldProps {
  readonly label: string
  readonly hint?: string
  readonly value: number
  readonly min: number
  readonly max: number
  readonly by?: number
  readonly onChange: (value: number) => void
  readonly disabled?: boolean
}

const clamp = (value: number, min: number, max: number) => Math.min(max, Math.max(min, value))

/** A whole number; the arrow keys change it. */
export const WholeField = ({ min, max, by = 1, ...rest }: NumberFieldProps) => (
  <TextField
    {...rest}
    format={String}
    schema={wholeNumber(min, max)}
    inputMode="numeric"
    step={(value, direction) => String(clamp(value + direction * by, min, max))}
  />
)

export const DecimalField = ({ min, max, by = 0.1, ...rest }: NumberFieldProps) => (
  <TextField
    {...rest}
    format={String}
    schema={decimalNumber(min, max)}
    inputMode="decimal"
    step={(value, direction) => String(Number(clamp(value + direction * by, min, max).toFixed(6)))}
  />
)

interface ChoiceProps<T extends string> {
  readonly label: string
  readonly value: T
  readonly choices: readonly (readonly [value: T, text: string])[]
  readonly onChange: (value: T) => void
}

/** A few choices side by side. */
export function Choice<T extends string>({ label, value, choices, onChange }: ChoiceProps<T>) {
  const name = useId()
  return (
    <fieldset class="choice">
      <legend>{label}</legend>
      <div>
        {choices.map(([each, text]) => (
          <label key={each}>
            <input type="radio" name={name} value={each} checked={each === value} onChange={() => onChange(each)} />
            {text}
          </label>
        ))}
      </div>
    </fieldset>
  )
}

/** One of many. */
export function Select<T extends string>({ label, value, choices, onChange }: ChoiceProps<T>) {
  const id = useId()
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
        {choices.map(([each, text]) => (
          <option key={each} value={each}>
            {text}
          </option>
        ))}
      </select>
    </div>
  )
}

interface CheckProps {
  readonly checked: boolean
  readonly onChange: (checked: boolean) => void
  readonly children: ComponentChildren
  readonly disabled?: boolean
}

export const Check = ({ checked, onChange, children, disabled = false }: CheckProps) => (
  <label class="check">
    <input
      type="checkbox"
      checked={checked}
      disabled={disabled}
      onChange={(event) => onChange(event.currentTarget.checked)}
    />
    <span>{children}</span>
  </label>
)

export const Panel = ({
  title,
  children,
  class: name = '',
}: {
  readonly title: string
  readonly children: ComponentChildren
  readonly class?: string
}) => {
  const id = useId()
  return (
    <section class={`panel ${name}`} aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  )
}
