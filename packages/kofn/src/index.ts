/**
 * kofn's library: trains and prunes networks to exactly k out of n, and the layers underneath it: ONNX graphs and their
 * differentiation.
 */

// Training
export { train } from "./run/train.js";
export { planRun, type RunPlan } from "./run/plan.js";
export { Run } from "./run/run.js";
export { loadMasks, readRun } from "./run/read.js";
export { evaluateModel, type EvaluateOptions } from "./task/evaluate-model.js";
export {
  chooseNormalization,
  type NormalizationCandidate,
  type NormalizationChoice,
  recordedNormalization,
  withNormalization,
} from "./task/normalize.js";
export type { Config } from "./options/config.js";
export type { Checkpoint, RunDirectoryOptions, RunHeatmaps, StoredRun, TrainOptions } from "./run/types.js";
export type { BatchNormMode, DistillOptions, LearningRateSchedule, SamplerOptions } from "./options/types.js";
export type {
  EpochMetrics,
  Evaluation,
  LayerReport,
  MaskMetrics,
  Progress,
  Recalibration,
  Report,
  ShapeReport,
} from "@kofn/format/run/types.js";
export type { AdamOptions, OptimizerOptions, SgdOptions } from "./optim/options.js";
export type { Provider } from "@kofn/format/run/words.js";

// The training step
export {
  type CompiledStep,
  compileStep,
  type StepGraph,
  stepGraph,
  type StepMask,
  type StepParameter,
  type StepTensor,
} from "./step/graph.js";
export {
  type GraphSampling,
  type Path,
  type PlannedMask,
  type PlannedQuantizer,
  type PlannedTensor,
  planStep,
  type StepOptions,
  type StepPlan,
} from "./step/plan.js";
export { HostSampler } from "./host/sampler.js";
export type { HostSamplerOptions } from "./host/sampler-room.js";
export { type HostArrays, HostOptimizer, type HostParameter } from "./host/optimizer.js";
export { type Optimizer, optimizerOf, type UpdateArguments } from "./optim/optimizer.js";

// Pruning: what to keep
export { formatRule, kernels, maps, parsePrune, resolvePrune, weights } from "./prune/spec.js";
export { planPruning, type PruneOptions, type PrunePlan } from "./prune/budget.js";
export { prunableLayers } from "./layers/layers.js";
export { mapSets } from "./prune/structure/map-sets.js";
export type { MapCarrier, MapSet, MapSetLayer } from "./prune/types.js";
export { type Remains, removeDeadChannels, removeMaps } from "./prune/structure/remove.js";
export { planPrune } from "./prune/plan.js";
export { countPerGroup } from "./prune/units.js";
export { topKMask } from "./prune/topk.js";
export type { Amount, Budget, PrunedLayer, PruneRule, PruneSpec } from "./prune/types.js";
export type { PrunableLayer } from "./layers/types.js";
export type { BudgetResult } from "@kofn/format/run/types.js";
export type { Allocation, Granularity } from "@kofn/format/run/words.js";

// Quantization: what is learned in few bits
export {
  binary,
  formatQuantizeRule,
  int,
  int8,
  parseQuantize,
  resolveQuantize,
  ternary,
  uint8,
} from "./quantize/spec.js";
export { planQuantization, type PlannedWeight, type QuantizationPlan } from "./quantize/plan.js";
export { HostQuantizer, type LearnedScales, type QuantizerPlace } from "./host/quantizer.js";
export { decodeQuantization, encodeQuantization } from "./quantize/file.js";
export {
  calibrate,
  calibrateResults,
  type CalibrateOptions,
  type ObservationOptions,
} from "./integers/calibrate.js";
export type { CalibrationMethod } from "./integers/types.js";
export { exportQuantized, type LayerKernel, type QuantizedExport } from "./integers/export.js";
export { type FusedKernel, fusedKernels } from "./files/fused-kernels.js";
export { integerResults } from "./integers/integer-results.js";
export {
  simulateQuantized,
  withoutQuantizedActivations,
  withQuantizedActivations,
  withQuantizedWeights,
} from "./integers/simulate.js";
export type {
  ActivationRule,
  Quantization,
  QuantizedActivation,
  QuantizedWeight,
  QuantizeMethod,
  QuantizeRule,
  QuantizeSpec,
  WeightRule,
} from "./quantize/types.js";
export type { ActivationFormat, WeightFormat } from "@kofn/format/run/words.js";

// Packing: small files
export { type Account, type Accounting, accountOf, type LayerAccount } from "./pack/accounting.js";
export { sparseContents, weightMasks } from "./pack/contents.js";
export { decodeKofn, encodeKofn, modelOfKofn } from "./pack/file.js";
export type { Provenance } from "./pack/info-section.js";
export { loadKofn } from "./files/kofn.js";
export { type PackedOnnx, type PackedWeight, packOnnx } from "./pack/onnx.js";
export type { PositionCodec } from "@kofn/format/file/fields.js";
export { runContents } from "./run/packed.js";
export type { KofnContents, Packed, PackOptions, StoredTensor, Unpacked } from "./pack/types.js";
export type { Mask, PackedMask, UnitLayout } from "@kofn/format/file/units.js";

// Networks for hardware: C code and memory images
export { lowerProgram } from "./hardware/lower.js";
export { imagePacking, type Pruned, smallestPacking } from "./hardware/packing.js";
export { runProgram } from "./hardware/reference.js";
export { type CSource, writeC } from "./hardware/c/source.js";
export type { COptions } from "./hardware/c/options.js";
export { type Images, writeImages } from "./hardware/images.js";
export type { LayerImages } from "./hardware/layer-images.js";

// Networks
export type { ZooOptions } from "./models/network.js";
export { zoo } from "./models/zoo.js";

// Data sets
export {
  dataHome,
  datasets,
  loadDataset,
  type FolderOptions,
  type LoadOptions,
} from "./datasets/registry.js";
export type { PictureOptions } from "./datasets/pictures.js";
export {
  getDataset,
  listDatasets,
  type DatasetStatus,
  type DownloadProgress,
  type GetOptions,
  type GetResult,
} from "./datasets/download.js";
export type { Dataset, EncodedImages, ResidentDataset, ResidentSplit, Split } from "./data/types.js";
export type { Geometry } from "./data/geometry.js";
export type { Augmentation } from "./data/augment.js";
export type { Normalization } from "./data/normalization.js";

// Metrics of masks and models
export { inclusionProbabilities } from "./metrics/inclusion.js";
export {
  churn,
  confidence,
  diversity,
  inclusionHistogram,
  jensenShannon,
  layerMetrics,
  neverChosen,
  overlap,
  softmaxEntropy,
} from "./metrics/masks.js";
export type { LayerMetrics } from "@kofn/format/run/types.js";
export { type Heatmap, heatmapOf, readHeatmap, readHeatmapHeader } from "./metrics/heatmaps.js";
export type { HeatmapFile, HeatmapLayer } from "@kofn/format/run/heatmaps.js";
export { countMacs, type LayerMacs, type Macs } from "./prune/macs.js";
export { layerSizes, log2Choose, type Sizes, sizesOf } from "./metrics/size.js";
export type { LayerSize } from "@kofn/format/run/types.js";

// ONNX models: read, import, write, print, check, evaluate
export { type Dropout, type DropoutReader, dropoutsOf } from "./import/dropout.js";
export { importModel } from "./import/import.js";
export { loadModel, saveModel } from "./files/models.js";
export { decodeModel, encodeModel, encodeModelBytes } from "./onnx/codec.js";
export type { ExternalLocation, ExternalReader } from "./onnx/codec/tensor.js";
export { decodeSafetensors, encodeSafetensors } from "./onnx/safetensors.js";
export { printGraph } from "./onnx/print.js";
export { topologicalSort, validate } from "./onnx/validate.js";
export { inferGraph } from "./onnx/infer.js";
export { evaluateGraph } from "./onnx/evaluate.js";
export {
  type Attribute,
  type Dim,
  emptyGraph,
  float as floatAttribute,
  type Graph,
  int as intAttribute,
  ints as intsAttribute,
  type Model,
  type Node,
  OPSET,
  string as stringAttribute,
  tensorAttribute,
  type ValueInfo,
  type ValueType,
} from "./onnx/model.js";
export type { Arrays, DataType, HostType } from "./onnx/dtype.js";
export { Tensor, tensor, tensorFrom } from "./onnx/tensor.js";

// ONNX graphs: build, differentiate, simplify, lower
export { type Attributes, Builder } from "./onnx/builder.js";
export { KOFN_OPS, type KofnOp, ONNX_OPS, type OnnxOp, type OpName } from "./onnx/ops.js";
export { differentiate } from "./autodiff/differentiate.js";
export { foldConstants, mergeCommonSubexpressions, removeDeadCode, simplify } from "./onnx/passes.js";
export { lower, type LowerOptions } from "./lower/lower.js";
export { modelOf } from "./lower/model.js";

export { InputError, KofnError } from "./errors.js";
export { VERSION } from "./version.js";
