// remediModel: a small RemeDi model of the engine that can be trained, for tests.

import { loadNative, type NativeSession } from '../../src/native.js'
import { sessionKey } from '../../src/openModel.js'
import { type RemediConfig, type RemediOptions, remediConfig, remediRecord } from '../../src/remedi/config.js'
import { type RemediRecipe, type RemediRecipeOptions, remediRecipe } from '../../src/remedi/recipe.js'
import { type RemediFigures, remediTask } from '../../src/remedi/task.js'
import { writeJson } from '../../src/savedFolder.js'
import type { Tokenizer } from '../../src/text/tokenizer.js'
import type { TrainableModel } from '../../src/training/task.js'

/** A model over a session of its own. */
export type TestModel = TrainableModel<RemediRecipeOptions, RemediRecipe, RemediFigures> & {
  readonly config: RemediConfig
  readonly session: NativeSession
}

/** Opens one; the caller disposes it. */
export async function openRemedi(tokenizer: Tokenizer, options: RemediOptions, seed = 1): Promise<TestModel> {
  const config = remediConfig.parse(options)
  const native = await loadNative()
  await native.start(1)
  const ids = { embeddings: tokenizer.vocabularySize, mask: tokenizer.special.mask }
  const session = await native.open(remediRecord(config, ids, { seed, start: 'random' }))
  return {
    family: 'remedi',
    config,
    tokenizer,
    session,
    [sessionKey]: session,
    recipeSchema: remediRecipe,
    task: (recipe) =>
      remediTask(recipe, {
        config,
        tokenizer,
        open: async () => {
          const { session: other, dispose } = await openRemedi(tokenizer, options, seed)
          return { session: other, dispose }
        },
      }),
    writeFiles: async (folder) => {
      await writeJson(folder, 'config.json', { format: 1, family: 'remedi', model: config })
    },
    dispose: () => session.dispose(),
  }
}
