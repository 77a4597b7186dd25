/** The numbers of operators and attributes in a file, from 1 on, in their order. */

export const OPERATORS =
  "Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Celu Clip Concat Constant ConstantOfShape Conv ConvTranspose Cos CumSum DepthToSpace Div Dropout Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization IsInf IsNaN LRN LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization MatMul Max MaxPool Mean Min Mish Mod Mul Neg Not OneHot Or PRelu Pad Pow Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round ScatterElements Selu Shape Sigmoid Sign Sin Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh ThresholdedRelu Tile TopK Transpose Unsqueeze Where".split(
    " ",
  );

export const ATTRIBUTES =
  "alpha beta gamma epsilon momentum axis axes allowzero approximate auto_pad batch_dims bias blocksize ceil_mode coordinate_transformation_mode count_include_pad cubic_coeff_a dilations direction dtype exclude_outside exclusive extrapolation_value group keepdims kernel_shape lambd largest max min mode nearest_mode noop_with_empty_axes num_groups num_outputs output_padding output_shape p pads perm reduction reverse saturate select_last_index size sorted stash_type storage_order strides to training_mode transA transB value antialias keep_aspect_ratio_policy block_size fmod".split(
    " ",
  );
