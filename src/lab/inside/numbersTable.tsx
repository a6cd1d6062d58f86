// The numbers of a picture, for who wants them or does not see it.

import type { ComponentChildren } from 'preact'

interface NumbersTableProps {
  readonly titles: readonly string[]
  /** What a row is of, and its numbers. */
  readonly rows: readonly (readonly [name: string | number, ...cells: ComponentChildren[]])[]
}

export const NumbersTable = ({ titles, rows }: NumbersTableProps) => (
  <details>
    <summary>The numbers</summary>
    <table class="numbers">
      <thead>
        <tr>
          {titles.map((title) => (
            <th key={title} scope="col">
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(([name, ...cells]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            {cells.map((cell, i) => (
              <td key={i}>{cell}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  </details>
)
