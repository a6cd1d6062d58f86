// The frame of the page: its name, its tabs, and the panel of each tab, which stays as it is while others are shown.

import { useSignal } from '@preact/signals'
import { tab } from './address.js'
import { tabs } from './tabs.js'

/** How the arrow keys go from one tab to the next. */
const moves: Readonly<Record<string, (at: number) => number>> = {
  ArrowRight: (at) => (at + 1) % tabs.length,
  ArrowLeft: (at) => (at + tabs.length - 1) % tabs.length,
  Home: () => 0,
  End: () => tabs.length - 1,
}

export function App() {
  const shown = (tabs.find(({ id }) => id === tab.value) ?? tabs[0]!).id
  const visited = useSignal<ReadonlySet<string>>(new Set())
  if (!visited.peek().has(shown)) visited.value = new Set([...visited.peek(), shown])
  const onKeyDown = (event: KeyboardEvent) => {
    const next = moves[event.key]?.(tabs.findIndex(({ id }) => id === shown))
    if (next === undefined) return
    event.preventDefault()
    tab.value = tabs[next]!.id
    document.getElementById(`tab-${tabs[next]!.id}`)?.focus()
  }
  return (
    <>
      <header class="top">
        <h1>
          <img src={new URL('./icon.svg', import.meta.url).href} alt="" width="26" height="26" />
          rdm-lab
        </h1>
        <div class="tabs" role="tablist" aria-label="What to do" onKeyDown={onKeyDown}>
          {tabs.map(({ id, title }) => (
            <button
              key={id}
              type="button"
              role="tab"
              id={`tab-${id}`}
              aria-selected={id === shown}
              aria-controls={`panel-${id}`}
              tabIndex={id === shown ? 0 : -1}
              onClick={() => {
                tab.value = id
              }}
            >
              {title}
            </button>
          ))}
        </div>
        <p class="private">Nothing leaves this page.</p>
      </header>
      <main>
        {tabs.map(({ id, component: Panel }) => (
          <div key={id} role="tabpanel" id={`panel-${id}`} aria-labelledby={`tab-${id}`} hidden={id !== shown}>
            {visited.value.has(id) && <Panel />}
          </div>
        ))}
      </main>
    </>
  )
}
