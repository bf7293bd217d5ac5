// The configuration schemas: every option with its type, range, unit, default and source. Defaults stand here alone.

export * from './config/fields.js'
export * from './config/model.js'
export * from './config/recipe.js'
export * from './config/refine.js'
