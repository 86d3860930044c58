"""Peer: ai-edge-quantizer's static int8 recipe on a float .tflite.

Usage: ai_edge_quantizer_static.py FLOAT.tflite CALIBRATION.npy OUT_FOLDER
Writes int8.tflite.
"""

import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe


def main() -> None:
    path, images, folder = sys.argv[1], np.load(sys.argv[2], allow_pickle=False), Path(sys.argv[3])
    (signature, parts), *_ = Interpreter(path).get_signature_list().items()
    (name,) = parts["inputs"]
    work = quantizer.Quantizer(path, recipe.static_wi8_ai8())
    ranges = work.calibrate({signature: [{name: image[None]} for image in images]}, num_threads=1)
    work.quantize(ranges).export_model(str(folder / "int8.tflite"), overwrite=True)


main()
