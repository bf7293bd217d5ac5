// merge-lm: train and run text models that edit as well as generate.

export {
  type GptCreateOptions,
  type GptLoadOptions,
  GptModel,
  type GptPretrainedOptions,
} from './baselines/gpt.js'
export { type GptConfig, type GptOptions, gptConfig } from './baselines/gptConfig.js'
export { type GptEditOptions, gptEditConfig } from './baselines/gptEdit.js'
export {
  type GptAnswer,
  type GptGenerateConfig,
  type GptGenerateOptions,
  type GptPrompt,
  gptGenerateConfig,
} from './baselines/gptGenerate.js'
export { type GptFigures, type GptRecipe, type GptRecipeOptions, gptRecipe } from './baselines/gptTask.js'
export { type LevtCreateOptions, type LevtLoadOptions, LevtModel } from './baselines/levt.js'
export {
  type LevtConfig,
  type LevtOptions,
  type LevtRefineConfig,
  type LevtRefineOptions,
  levtConfig,
  levtRefineConfig,
} from './baselines/levtConfig.js'
export { type LevtFigures, type LevtRecipe, type LevtRecipeOptions, levtRecipe } from './baselines/levtTask.js'
export { type MaskGitCreateOptions, type MaskGitLoadOptions, MaskGitModel } from './baselines/maskgit.js'
export { type MaskGitConfig, type MaskGitOptions, maskgitConfig } from './baselines/maskgitConfig.js'
export { type MaskGitFillConfig, type MaskGitFillOptions, maskgitFillConfig } from './baselines/maskgitFill.js'
export {
  type MaskGitFigures,
  type MaskGitRecipe,
  type MaskGitRecipeOptions,
  maskgitRecipe,
} from './baselines/maskgitTask.js'
export { type MaskSchedule, masksAfter, trainingMasks } from './baselines/maskSchedule.js'
export { type LoraConfig, type LoraOptions, loraConfig, loraTargets } from './config/lora.js'
export type {
  BatchOptions,
  CommonRecipe,
  DraftOptions,
  DraftShares,
  InfillOptions,
  LossWeights,
  ModelConfig,
  ModelOptions,
  Recipe,
  RecipeOptions,
  RefineConfig,
  RefineOptions,
} from './config.js'
export { modelConfig, recipe, refineConfig } from './config.js'
export type {
  DraftText,
  EditingModel,
  Editor,
  EditResult,
  Round,
  RuleReason,
  StopReason,
  TextSpan,
  TokenDraft,
  TokenSpan,
} from './editor.js'
export { type ErrorCode, errorCodes, isMergeError, MergeError, type MergeErrorOptions } from './errors.js'
export { type Ablation, type AblationChanges, type AblationVariant, ablations } from './merge/ablations.js'
export { type AlignmentInput, type AxeInput, axeLoss, ctcLoss, oaxeLoss } from './merge/alignmentLosses.js'
export { editDistance } from './merge/distance.js'
export type { HoledText } from './merge/draft.js'
export type { DraftExample, DraftKind } from './merge/drafts.js'
export * from './merge/literalLosses.js'
export * from './merge/losses.js'
export type { MergeFigures } from './merge/mergeTask.js'
export type { LoopSettings } from './merge/refine.js'
export { type BatchOptionsOf, type DraftOptionsOf, type EditSchemas, RoundModel } from './merge/roundModel.js'
export {
  type ConfidenceMeasure,
  confidenceOf,
  type RoundOutcome,
  type StopRule,
  stopReason,
} from './merge/stopping.js'
export { type CreateOptions, type FromPretrainedOptions, type LoadOptions, MergeModel } from './model.js'
export {
  type BernoulliStInput,
  type BernoulliStOptions,
  bernoulliSt,
  bernoulliStReference,
} from './ops/bernoulliSt.js'
export { type CountsStOptions, countsSt, countsStReference } from './ops/countsSt.js'
export { type PointerStInput, type PointerStOptions, pointerSt, pointerStReference } from './ops/pointerSt.js'
export type { Drawn, Floats, NoiseOptions, StraightThrough } from './ops/straightThrough.js'
export { parseConfig } from './parseConfig.js'
export { type Random, randomFrom } from './random.js'
export type { Answer, AnswerStop, BlockStatistics } from './remedi/answer.js'
export { policyPositions, type RemediConfig, type RemediOptions, remediConfig } from './remedi/config.js'
export type { DenoisingStep } from './remedi/generate.js'
export { type GenerateConfig, type GenerateOptions, generateConfig } from './remedi/generateConfig.js'
export * as remediLosses from './remedi/losses.js'
export {
  type PretrainedOptions,
  type RemediCreateOptions,
  type RemediLoadOptions,
  RemediModel,
} from './remedi/model.js'
export * as remediNoise from './remedi/noise.js'
export * as remediPolicy from './remedi/policy.js'
export type { ExportOptions } from './remedi/pretrained.js'
export type { RemediPrompt } from './remedi/prompt.js'
export { type RemediRecipe, type RemediRecipeOptions, remediRecipe } from './remedi/recipe.js'
export * as rewards from './remedi/rewards.js'
export type { RemediFigures } from './remedi/task.js'
export { type Manifest, verifyFolder } from './savedFolder.js'
export { type BpeOptions, trainBpeTokenizer } from './text/bpe.js'
export { byteTokenizer } from './text/byteTokenizer.js'
export { characterTokenizer, trainCharacterTokenizer } from './text/characterTokenizer.js'
export type { ChatMessage, ChatTemplate } from './text/chatTemplate.js'
export * from './text/corruption.js'
export { type CorruptionSpec, corruptionFrom, corruptionSpec } from './text/corruptionSpec.js'
export { type Example, fromIterable, openDataset, type SplitOptions, split, streamDataset } from './text/dataset.js'
export type { DatasetSpec } from './text/datasetSpec.js'
export {
  applyEdits,
  applyTokenEdits,
  changesOf,
  type Edit,
  type EditKind,
  editScript,
  type TokenEdit,
  tokenEditScript,
} from './text/editScript.js'
export { type HuggingFaceTokenizerOptions, huggingFaceTokenizer } from './text/huggingFaceTokenizer.js'
export { type IdTokenizerOptions, idTokenizer } from './text/idTokenizer.js'
export type { SpecialIds, Tokenizer, TokenizerJson, TokenizerKind } from './text/tokenizer.js'
export { loadTokenizer, saveTokenizer, tokenizerFromJson } from './text/tokenizerFile.js'
export {
  type Calibration,
  type CalibrationBin,
  calibrationBins,
  calibrationOf,
  type JudgedFill,
} from './training/calibration.js'
export { type FoundCheckpoint, latestCheckpoint } from './training/checkpoint.js'
export {
  type Agreement,
  addAgreement,
  type DeletionScores,
  deletionAgreement,
  deletionScores,
  type EditScores,
  editScores,
  tokenEditAgreement,
  type UnitEdit,
  unitEdits,
  wordEditAgreement,
} from './training/editScores.js'
export {
  type EditEvaluation,
  type EditedExample,
  type EvaluateOptions,
  evaluateEdits,
  evaluateModel,
  type ModelEvaluation,
} from './training/evaluate.js'
export { evaluateRemedi, type RemediEvaluateOptions, type RemediEvaluation } from './training/evaluateRemedi.js'
export type { Figure } from './training/figure.js'
export { type MaskedAccuracy, maskedAccuracy } from './training/maskedAccuracy.js'
export type { CommonReport } from './training/report.js'
export type { ModelKind } from './training/resume.js'
export {
  type RemediRunConfig,
  type RemediRunConfigInput,
  type RunConfig,
  type RunConfigInput,
  remediRunConfig,
  runConfig,
} from './training/runConfig.js'
export { RunFolder } from './training/runFolder.js'
export type { Sample, SampleSpan } from './training/sample.js'
export {
  positionOf,
  type Ramp,
  type RunPosition,
  type Schedule,
  valueAt,
  warmupThenCosine,
  warmupThenLinear,
} from './training/schedule.js'
export type { Figures, Task, TrainableModel } from './training/task.js'
export { fitTemperature, type ScaledCalibration, scaledCalibration } from './training/temperature.js'
export { type Dataset, type ResumeOptions, type RunOptions, type StepReport, Trainer } from './training/trainer.js'
