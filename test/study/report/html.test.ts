// Nothing that is put into HTML can be more than text.
import { expect, it } from 'vitest'
import { html, jsonText, raw } from '../../../src/study/report/page/html.js'

it('escapes texts, in lists too, and leaves HTML as it is', () => {
  const name = `<b a="1" c='2'>&amp;</b>`
  const escaped = '&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;&lt;/b&gt;'
  expect(html`<i title="${name}">${[name, html`<u>${name}</u>`, 3]}${undefined}</i>`.text).toBe(
    `<i title="${escaped}">${escaped}<u>${escaped}</u>3</i>`,
  )
  expect(html`${raw('<br>')}`.text).toBe('<br>')
})

it('gives data to a script that no text in them can end', () => {
  const data = { name: '</script><!--<script>' }
  const { text } = jsonText(data)
  expect(text).not.toContain('<')
  expect(JSON.parse(text)).toEqual(data)
})
