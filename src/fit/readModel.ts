// Reading a trainable model from the bytes of a file.
export { readTrainableModel } from '../model/read.js'
