// The network that was tuned last, asked about one picture at a time.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { messageOf } from '../../core/errors.js'
import { chosenFiles, type PageFile } from '../../web/files.js'
import { Drop, FileButton } from '../ui/drop.js'
import { Panel } from '../ui/fields.js'
import { Camera } from './camera.js'
import { type Answer, ask, tuned } from './run.js'

/** Classes that are shown, the likeliest first. */
const SHOWN = 10

export function TryPanel() {
  const picture = useSignal<{ readonly name: string; readonly url: string } | undefined>(undefined)
  const answer = useSignal<Answer | undefined>(undefined)
  const problem = useSignal<string | undefined>(undefined)
  const network = tuned.value
  useEffect(() => () => URL.revokeObjectURL(picture.value?.url ?? ''), [picture.value])
  useEffect(() => {
    answer.value = undefined
    picture.value = undefined
    problem.value = undefined
  }, [network])
  if (!network?.network.image || !network.network.scores) return null
  const look = async (found: Promise<readonly PageFile[]>) => {
    problem.value = undefined
    answer.value = undefined
    try {
      const [first] = await found
      if (!first) return
      picture.value = { name: first.path, url: URL.createObjectURL(first.content) }
      answer.value = await ask(network, first.path, first.content)
    } catch (error) {
      picture.value = undefined
      problem.value = messageOf(error)
    }
  }
  return (
    <Panel title="Try it" class="try">
      <Drop onFiles={(found) => void look(found)}>
        <p>Drop a picture here for {network.name}, or choose it:</p>
        <div class="row">
          <FileButton
            label="A picture"
            multiple={false}
            accept="image/*"
            onFiles={(list) => void look(Promise.resolve(chosenFiles(list)))}
          />
          <Camera
            buttons={[['shot', 'What is this?']]}
            onPicture={(_, content) => void look(Promise.resolve([{ path: 'the camera’s picture', content }]))}
          />
        </div>
      </Drop>
      {picture.value && (
        <div class="answer">
          <img src={picture.value.url} alt={picture.value.name} />
          <ul class="chances" aria-label="probabilities" aria-live="polite">
            {answer.value
              ? answer.value.classes.slice(0, SHOWN).map(({ name, probability }) => (
                  <li key={name}>
                    <span class="name">{name}</span>
                    <meter min={0} max={1} value={probability} aria-label={name} />
                    <span class="number">{(100 * probability).toFixed(1)} %</span>
                  </li>
                ))
              : 'Looks at it …'}
          </ul>
        </div>
      )}
      <p class="problem" role="alert" hidden={problem.value === undefined}>
        {problem.value}
      </p>
    </Panel>
  )
}
