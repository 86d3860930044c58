"""TensorFlow and Keras as this project imports them: late and quiet."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from mnist_export.core.errors import MissingExtraError
from mnist_export.core.native_log import quiet_stderr


def tensorflow() -> Any:
    """Import TensorFlow without its start-up noise; the module itself is returned.

    Raises:
        MissingExtraError: it is not installed.
    """
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        with quiet_stderr():
            import tensorflow as tf
    except ImportError as error:
        raise MissingExtraError("tensorflow", "convert", "training or loading a Keras model") from error
    hush()
    return tf


def hush() -> None:
    """Keep what TensorFlow and Keras log and warn of to errors; TensorFlow is imported."""
    import logging

    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(keras|tf_keras|tensorflow)(\..*)?")


def keras() -> Any:
    """Import Keras 3 on the backend that ``KERAS_BACKEND`` names, TensorFlow where it names none.

    TensorFlow is imported here first, so that it starts without its noise; with JAX or PyTorch as the
    backend it is neither needed nor touched.

    Raises:
        MissingExtraError: Keras or TensorFlow is not installed.
    """
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        tensorflow()
    try:
        import keras as module
    except ImportError as error:
        raise MissingExtraError(error.name or "keras", "convert", "loading a Keras model") from error
    return module


def package_of(framework: str) -> Any:
    """The Keras that a model is of: ``keras`` (Keras 3) or ``tf_keras``."""
    return keras() if framework == "keras" else tf_keras()


def tf_keras() -> Any:
    """Import Keras 2 (``tf_keras``) without its noise.

    Raises:
        MissingExtraError: it is not installed.
    """
    tf = tensorflow()
    try:
        import tf_keras as module
    except ImportError as error:
        raise MissingExtraError("tf_keras", "convert", "loading a model that Keras 2 saved") from error
    # tf_keras names its own replacement of deprecated aliases at warning level on every model.
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    return module
