"""What a foreign model may be made of: names only, nothing is imported for them."""

from __future__ import annotations

MODELS = frozenset({"Functional", "Model", "Sequential"})

LAYERS = frozenset(
    {
        "InputLayer",
        # with weights
        "Dense", "Conv1D", "Conv2D", "Convolution2D", "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D",
        "SeparableConv2D", "SeparableConvolution2D", "Conv1DTranspose", "Conv2DTranspose",
        "Convolution2DTranspose", "BatchNormalization",
        "LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization", "Normalization",
        "Convolution1D", "SeparableConvolution1D", "Convolution1DTranspose", "Conv3D", "Convolution3D",
        "Conv3DTranspose", "Convolution3DTranspose", "EinsumDense", "Embedding", "ReversibleEmbedding",
        # over time
        "LSTM", "GRU", "SimpleRNN", "RNN", "LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells",
        "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Bidirectional", "TimeDistributed", "Masking",
        # taken off when a model is loaded
        "SpectralNormalization",
        # shape
        "ZeroPadding3D", "Cropping3D", "UpSampling3D",
        "Flatten", "Reshape", "Permute", "ZeroPadding1D", "ZeroPadding2D", "Cropping1D", "Cropping2D",
        "UpSampling1D", "UpSampling2D", "Resizing", "CenterCrop", "RepeatVector",
        # pooling
        "MaxPooling1D", "MaxPooling2D", "MaxPool2D", "AveragePooling1D", "AveragePooling2D", "AvgPool2D",
        "GlobalAveragePooling1D", "GlobalMaxPooling1D",
        "GlobalAveragePooling2D", "GlobalAvgPool2D", "GlobalMaxPooling2D", "GlobalMaxPool2D",
        # over steps
        "MaxPool1D", "AvgPool1D", "GlobalAvgPool1D", "GlobalMaxPool1D", "MaxPooling3D", "MaxPool3D",
        "AveragePooling3D", "AvgPool3D", "GlobalAveragePooling3D", "GlobalAvgPool3D", "GlobalMaxPooling3D",
        "GlobalMaxPool3D", "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D",
        "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D",
        # attention
        "MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention", "Attention",
        "AdditiveAttention",
        # pointwise
        "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "ThresholdedReLU", "Softmax", "Rescaling",
        "Identity",
        # merging
        "Dot", "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate",
        # nothing at inference
        "Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise",
        "ActivityRegularization", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom",
        "RandomContrast", "RandomBrightness", "RandomCrop", "SpatialDropout3D", "AugMix", "AutoContrast",
        "CutMix", "MixUp", "RandAugment", "RandomColorDegeneration", "RandomColorJitter",
        "RandomElasticTransform", "RandomErasing", "RandomGaussianBlur", "RandomGrayscale", "RandomHue",
        "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomSaturation", "RandomSharpness",
        "RandomShear", "Equalization", "Solarization", "ContrastLimitedAdaptiveHistogramEqualization",
        "Pipeline", "Discretization", "CategoryEncoding",
    }
)  # fmt: skip

# Layers that run code of the file's author, or load another file.
DANGEROUS = {
    "Lambda": "its Python code would run here",
    "TFSMLayer": "it loads another model and runs it",
    "JaxLayer": "its Python code would run here",
    "FlaxLayer": "its Python code would run here",
    "TorchModuleWrapper": "it unpickles a PyTorch module",
    "StringLookup": "it may read a vocabulary from another file",
    "IntegerLookup": "it may read a vocabulary from another file",
    "TextVectorization": "it may read a vocabulary from another file",
}

INITIALIZERS = frozenset(
    {
        "GlorotUniform", "GlorotNormal", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "Zeros",
        "Ones", "Constant", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling",
        "Orthogonal", "OrthogonalInitializer", "Identity", "IdentityInitializer", "orthogonal",
        "identity", "constant", "variance_scaling",
        # names of Keras 1 and 2
        "glorot_uniform", "glorot_normal", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform",
        "zeros", "ones", "random_normal", "random_uniform", "truncated_normal",
    }
)  # fmt: skip

REGULARIZERS = frozenset({"L1", "L2", "L1L2", "l1", "l2", "l1_l2", "OrthogonalRegularizer"})

CONSTRAINTS = frozenset(
    {"MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm", "max_norm", "non_neg", "unit_norm", "min_max_norm"}
)

POLICIES = frozenset({"DTypePolicy", "FloatDTypePolicy", "Policy"})

# Written by Keras around values; none of them names code.
MARKERS = frozenset({"__keras_tensor__", "__tuple__", "__ellipsis__", "CollectionTuple"})

ACTIVATIONS = frozenset(
    {
        "linear", "relu", "relu6", "softmax", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign",
        "swish", "silu", "gelu", "exponential", "hard_sigmoid", "hard_silu", "hard_swish", "leaky_relu",
        "log_softmax", "mish", "celu", "glu", "log_sigmoid", "hard_tanh", "tanh_shrink", "hard_shrink",
        "soft_shrink", "squareplus", "sparse_plus", "sparse_sigmoid", "threshold", "sparsemax",
    }
)  # fmt: skip

OBJECTS = LAYERS | MODELS | INITIALIZERS | REGULARIZERS | CONSTRAINTS | POLICIES | MARKERS

MODULES = frozenset(
    {
        "keras", "keras.layers", "keras.models", "keras.initializers", "keras.regularizers",
        "keras.constraints", "keras.activations", "keras.dtype_policies", "keras.mixed_precision",
        "keras.src.models.functional", "keras.src.models.sequential", "keras.src.models.model",
        "keras.src.engine.functional", "keras.src.engine.sequential", "keras.src.engine.training",
        "keras.engine.functional", "keras.engine.sequential", "builtins",
        "tf_keras.src.engine.functional", "tf_keras.src.engine.sequential",
    }
)  # fmt: skip

# Keras 2 calls the named TensorFlow function on loading: these only compute on tensors.
TF_FUNCTIONS = {
    "SlicingOpLambda": frozenset({"__operators__.getitem"}),
    "TFOpLambda": frozenset({
        "__operators__.add", "math.add", "math.add_n", "math.subtract", "math.multiply", "math.divide",
        "math.truediv", "math.maximum", "math.minimum", "math.reduce_mean", "math.reduce_sum",
        "math.reduce_max", "math.negative", "math.abs", "math.square", "math.sqrt", "math.exp", "math.pow",
        "math.sigmoid", "math.tanh", "nn.relu", "nn.relu6", "nn.leaky_relu", "nn.silu", "nn.gelu",
        "nn.softmax", "nn.avg_pool2d", "nn.max_pool2d", "concat", "reshape", "identity", "cast", "pad",
        "expand_dims", "squeeze", "compat.v1.squeeze", "compat.v1.transpose", "clip_by_value",
    }),
}  # fmt: skip

# Keras 3's operations, by the module that defines them: the pair counts. They compute on tensors, draw no
# random numbers and call no function of the file's; what they make is bounded when the model is built as
# shapes.
OPERATIONS = {
    "keras.src.ops.numpy": frozenset({
        # elementwise
        "Add", "Subtract", "Multiply", "Divide", "TrueDivide", "DivideNoNan", "Power", "Maximum", "Minimum",
        "Clip", "Negative", "Absolute", "Reciprocal", "Square", "Sqrt", "Exp", "Expm1", "Log", "Log1p",
        "Tanh", "Sin", "Cos", "Sign", "Round", "Floor", "Ceil", "Where", "Greater", "GreaterEqual", "Less",
        "LessEqual", "Equal", "NotEqual", "LogicalAnd", "LogicalOr", "LogicalNot", "Mean", "Sum", "Max",
        "Min", "Amax", "Amin", "Var", "Std", "Prod", "Cumsum", "Matmul", "Reshape", "Transpose", "Squeeze",
        "ExpandDims", "Swapaxes", "Moveaxis", "Concatenate", "Stack", "GetItem", "Copy", "Split", "Take",
        "Tile", "Repeat", "Roll", "Flip", "Pad", "Fabs", "Abs", "Tan", "Sinh", "Cosh", "Arcsin", "Arccos",
        "Arctan", "Arctan2", "Arcsinh", "Arccosh", "Arctanh", "Exp2", "Log2", "Log10", "Logaddexp",
        "Logaddexp2", "Cbrt", "Hypot", "Trunc", "FloorDivide", "Mod", "Fmod", "Fmax", "Fmin", "Sinc",
        "Heaviside", "LogicalXor", "NanToNum", "Isfinite", "Isnan", "Isinf", "Einsum", "Argmax", "Argmin",
        "All", "Any", "Median", "Cumprod", "Ptp", "CountNonzero", "Fliplr", "Flipud", "Rot90", "Ravel",
        "Hstack", "Dstack", "TakeAlongAxis", "Tril", "Triu",
    }),
    "keras.src.ops.nn": frozenset({
        "Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "Silu", "HardSilu", "Sigmoid",
        "HardSigmoid", "LogSigmoid", "HardTanh", "Softplus", "Softsign", "Softmax", "LogSoftmax", "MaxPool",
        "AveragePool", "AdaptiveAveragePool", "AdaptiveMaxPool", "Glu", "HardShrink", "SoftShrink",
        "TanhShrink", "Threshold", "Squareplus", "SparsePlus", "SparseSigmoid", "Sparsemax", "Normalize",
        "Moments", "RMSNorm", "LayerNorm", "BatchNorm", "DotProductAttention", "DepthToSpace",
        "SpaceToDepth",
    }),
    "keras.src.ops.math": frozenset({"Rsqrt", "Erf", "Erfc", "Logsumexp", "TopK"}),
    "keras.src.ops.core": frozenset({"Cast", "StopGradient"}),
    "keras.src.ops.linalg": frozenset({"Norm"}),
    "keras.src.ops.image": frozenset({
        "ExtractPatches", "Resize", "RGBToGrayscale", "CropImages", "PadImages",
    }),
}  # fmt: skip

# Those that could make more images of a batch than it has: how many they make of one is looked at.
GROWING = frozenset({"Tile", "Repeat", "Pad", "Einsum", "Take", "TakeAlongAxis"})

# What an operation may be called with besides plain numbers, and what each of them holds.
ARGUMENTS = {
    "__keras_tensor__": frozenset({"shape", "dtype", "keras_history"}),
    "__slice__": frozenset({"start", "stop", "step"}),
    "__ellipsis__": frozenset(),
    "__numpy__": frozenset({"value", "dtype"}),
    "__tensor__": frozenset({"value", "dtype"}),
}

# Layers that models of keras.applications define for themselves.
APPLICATION_LAYERS = frozenset(
    {
        ("keras.src.applications.convnext", "LayerScale"),
        ("keras.src.applications.convnext", "StochasticDepth"),
        ("keras.src.applications.inception_resnet_v2", "CustomScaleLayer"),
    }
)

DTYPES = frozenset({"float32"})
