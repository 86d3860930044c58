"""Peer: TensorFlow's own converter, full-integer as its guide has it.

Usage: tflite_converter.py MODEL.keras CALIBRATION.npy OUT_FOLDER
Writes float.tflite and int8.tflite.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf


def main() -> None:
    model = tf.keras.models.load_model(sys.argv[1])
    images = np.load(sys.argv[2], allow_pickle=False)
    folder = Path(sys.argv[3])

    float_converter = tf.lite.TFLiteConverter.from_keras_model(model)
    (folder / "float.tflite").write_bytes(float_converter.convert())

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    (folder / "int8.tflite").write_bytes(converter.convert())


main()
