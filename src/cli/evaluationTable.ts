// evaluationTable: an evaluation as lines for people: name, value, and the n it was measured on.

import type { ModelEvaluation } from '../training/evaluate.js'
import type { Figure } from '../training/figure.js'
import { count, percent } from './progress.js'

/** One line a figure; "-" where there was nothing to measure. */
export function evaluationTable(evaluation: ModelEvaluation): string {
  const { tokenEdits, wordEdits, deletion, calibration } = evaluation
  const shares: Line[] = [
    ['exact match', evaluation.exact, percent, 'examples'],
    ['exact match of doing nothing', evaluation.exactNothing, percent, 'examples'],
    ['over-correction of finished texts', evaluation.overCorrection, percent, 'examples'],
    ['token edits, precision', tokenEdits.precision, percent, "edits of the model's"],
    ['token edits, recall', tokenEdits.recall, percent, "edits of the oracle's"],
    ['token edits, F0.5', tokenEdits.f05, percent, 'edits of either'],
    ['word edits, precision', wordEdits.precision, percent, "edits of the model's"],
    ['word edits, recall', wordEdits.recall, percent, "edits of the oracle's"],
    ['word edits, F0.5', wordEdits.f05, percent, 'edits of either'],
    ['deleter, precision', deletion.precision, percent, 'tokens given up'],
    ['deleter, recall', deletion.recall, percent, 'tokens to delete'],
    ['deleter, F1', deletion.f1, percent, `tokens of either, ${deletion.tokens} in all`],
    ['fill accuracy', evaluation.fillAccuracy, percent, 'fills'],
    ['mean rounds', evaluation.meanRounds, decimals, 'examples'],
    ['mean encoder passes', evaluation.meanEncoderPasses, decimals, 'examples'],
    ['tokens a second', evaluation.tokensPerSecond, count, 'tokens of drafts'],
    ['fill confidence, ECE', calibration.ece, decimals, 'fills'],
    ['fill confidence, Brier score', calibration.brier, decimals, 'fills'],
    ['fill confidence, AUROC of wrong', calibration.auroc, decimals, `fills, ${calibration.wrong} of them wrong`],
  ]
  const width = Math.max(...shares.map(([name]) => name.length))
  const left = evaluation.leftOut === 0 ? '' : `, ${evaluation.leftOut} left out: too long for a row of this model`
  return [
    `${evaluation.examples} examples${left}`,
    ...shares.map(([name, { value, n }, shown, unit]) => {
      return `  ${name.padEnd(width)}  ${(value === null ? '-' : shown(value)).padStart(8)}  ${n} ${unit}`
    }),
  ].join('\n')
}

type Line = readonly [name: string, figure: Figure, shown: (value: number) => string, unit: string]

const decimals = (value: number): string => value.toFixed(3)
