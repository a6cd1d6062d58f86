// What the commands that read data share.
import { Option } from 'commander'
import { usualHoldOut } from '../driver/data/splits.js'
import { decimalNumber, parsedBy } from './command.js'

/** `--hold-out`, for data that have no test set. */
export const holdOutOption = (): Option =>
  new Option(
    '--hold-out <part>',
    `of data without a test set, the part that is held out as one, the same every time (default: ${usualHoldOut})`,
  ).argParser(parsedBy(decimalNumber(1e-6, 0.999999)))
