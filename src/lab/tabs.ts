// The page's tabs, in their order. A new one is a file and an entry here.

import type { ComponentType } from 'preact'
import { BringTab } from './bring/tab.js'
import { DesignTab } from './design/tab.js'
import { ExportTab } from './export/tab.js'
import { InsideTab } from './inside/tab.js'
import { TrainTab } from './train/tab.js'

export interface Tab {
  /** In the address. */
  readonly id: string
  readonly title: string
  readonly component: ComponentType
}

export const tabs: readonly Tab[] = [
  { id: 'design', title: 'Design', component: DesignTab },
  { id: 'export', title: 'Export', component: ExportTab },
  { id: 'train', title: 'Train', component: TrainTab },
  { id: 'bring', title: 'Bring a model', component: BringTab },
  { id: 'inside', title: 'Look inside', component: InsideTab },
]
