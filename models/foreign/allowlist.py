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
        # shape
        "Flatten", "Reshape", "Permute", "ZeroPadding1D", "ZeroPadding2D", "Cropping1D", "Cropping2D",
        "UpSampling1D", "UpSampling2D", "Resizing", "CenterCrop", "RepeatVector",
        # pooling
        "MaxPooling1D", "MaxPooling2D", "MaxPool2D", "AveragePooling1D", "AveragePooling2D", "AvgPool2D",
        "GlobalAveragePooling1D", "GlobalMaxPooling1D",
        "GlobalAveragePooling2D", "GlobalAvgPool2D", "GlobalMaxPooling2D", "GlobalMaxPool2D",
        # over steps
        "LSTM", "GRU", "SimpleRNN", "Bidirectional", "TimeDistributed",
        # attention
        "MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention", "Attention",
        "AdditiveAttention",
        # pointwise
        "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "ThresholdedReLU", "Softmax", "Rescaling",
        "Identity",
        # merging
        "Dot", "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate",
        # nothing at inference
        "SpectralNormalization",
        "Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise",
        "ActivityRegularization", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom",
        "RandomContrast", "RandomBrightness", "RandomCrop",
    }
)  # fmt: skip

# Layers that run code of the file's author, or load another file.
DANGEROUS = {
    "Lambda": "its Python code would run here",
    "TFSMLayer": "it loads another model and runs it",
    "JaxLayer": "its Python code would run here",
    "FlaxLayer": "its Python code would run here",
    "TorchModuleWrapper": "it unpickles a PyTorch module",
}

INITIALIZERS = frozenset(
    {
        "GlorotUniform", "GlorotNormal", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "Zeros",
        "Ones", "Constant", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling",
        "Orthogonal", "OrthogonalInitializer", "Identity", "IdentityInitializer",
        # names of Keras 1 and 2
        "glorot_uniform", "glorot_normal", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform",
        "zeros", "ones", "random_normal", "random_uniform", "truncated_normal",
    }
)  # fmt: skip

REGULARIZERS = frozenset({"L1", "L2", "L1L2", "l1", "l2", "l1_l2", "OrthogonalRegularizer"})

CONSTRAINTS = frozenset({"MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm"})

POLICIES = frozenset({"DTypePolicy", "FloatDTypePolicy", "Policy"})

# Written by Keras around values; none of them names code.
MARKERS = frozenset({"__keras_tensor__", "__tuple__", "__ellipsis__", "CollectionTuple"})

ACTIVATIONS = frozenset(
    {
        "linear", "relu", "relu6", "softmax", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign",
        "swish", "silu", "gelu", "exponential", "hard_sigmoid", "hard_silu", "hard_swish", "leaky_relu",
        "log_softmax", "mish", "celu", "glu", "log_sigmoid", "hard_tanh", "tanh_shrink", "hard_shrink",
        "soft_shrink", "squareplus", "sparse_plus", "sparse_sigmoid", "threshold",
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

# Keras 3's operations, by the module that defines them: the pair counts. They compute on tensors, make no
# more of them than they get (times what broadcasting gives, which is bounded when the model is built), draw
# no random numbers and call no function of the file's.
OPERATIONS = {
    "keras.src.ops.numpy": frozenset({
        # elementwise
        "Add", "Subtract", "Multiply", "Divide", "TrueDivide", "DivideNoNan", "Power", "Maximum", "Minimum",
        "Clip", "Negative", "Absolute", "Reciprocal", "Square", "Sqrt", "Exp", "Expm1", "Log", "Log1p",
        "Tanh", "Sin", "Cos", "Sign", "Round", "Floor", "Ceil", "Where", "Greater", "GreaterEqual", "Less",
        "LessEqual", "Equal", "NotEqual", "LogicalAnd", "LogicalOr", "LogicalNot",
        # over axes
        "Mean", "Sum", "Max", "Min", "Amax", "Amin", "Var", "Std", "Prod", "Cumsum",
        # products of matrices
        "Matmul",
        # shape
        "Reshape", "Transpose", "Squeeze", "ExpandDims", "Swapaxes", "Moveaxis", "Concatenate", "Stack",
        "GetItem", "Copy", "Split", "Take", "Tile", "Repeat", "Roll", "Flip", "Pad",
    }),
    "keras.src.ops.nn": frozenset({
        "Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "Silu", "HardSilu", "Sigmoid",
        "HardSigmoid", "LogSigmoid", "HardTanh", "Softplus", "Softsign", "Softmax", "LogSoftmax", "MaxPool",
        "AveragePool", "Glu", "HardShrink", "SoftShrink", "TanhShrink", "Squareplus",
    }),
    "keras.src.ops.math": frozenset({"Rsqrt", "Logsumexp"}),
}  # fmt: skip

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
