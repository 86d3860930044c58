"""Peer: tf2onnx, then ONNX Runtime's quantize_static (QDQ, uint8 activations, int8 weights per channel).

Usage: onnxruntime_static.py MODEL.keras CALIBRATION.npy OUT_FOLDER
Writes float.onnx and int8.onnx.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf2onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Reader(CalibrationDataReader):
    """Feeds the calibration images one by one."""

    def __init__(self, name: str, images: np.ndarray) -> None:
        self._feeds = iter([{name: image[None]} for image in images])

    def get_next(self):
        """Give the next image, or None at the end."""
        return next(self._feeds, None)


def main() -> None:
    model = tf.keras.models.load_model(sys.argv[1])
    images = np.load(sys.argv[2], allow_pickle=False)
    folder = Path(sys.argv[3])
    signature = [tf.TensorSpec((None, *images.shape[1:]), tf.float32, name="images")]
    function = tf.function(lambda batch: model(batch, training=False), input_signature=signature)
    tf2onnx.convert.from_function(function, signature, opset=17, output_path=str(folder / "float.onnx"))
    quant_pre_process(str(folder / "float.onnx"), str(folder / "clean.onnx"), skip_symbolic_shape=True)
    quantize_static(
        str(folder / "clean.onnx"),
        str(folder / "int8.onnx"),
        Reader("images", images),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )


main()
