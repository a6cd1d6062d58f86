// The page of rdm-lab.

import { render } from 'preact'
import { z } from 'zod'
import { followAddress } from './address.js'
import { App } from './app.js'

// The page's policy lets no code be made from text, which zod would try.
z.config({ jitless: true })
followAddress()
const place = document.getElementById('lab')!
place.replaceChildren()
render(<App />, place)
