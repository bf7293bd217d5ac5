// Fields: the pieces that the schemas of all families are made of.

export * from './config/fields.js'
export { placement } from './config/model.js'
