// The library: the DSL, autodiff, export and fit.
export { UserError } from './errors.js'
