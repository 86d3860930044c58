"""Peer: NNCF's post-training quantization of a float .onnx for OpenVINO.

Usage: openvino_nncf.py FLOAT.onnx CALIBRATION.npy OUT_FOLDER
Writes float.xml, float.bin, int8.xml and int8.bin.
"""

import sys
from pathlib import Path

import nncf
import numpy as np
import openvino as ov


def main() -> None:
    images, folder = np.load(sys.argv[2], allow_pickle=False), Path(sys.argv[3])
    model = ov.Core().read_model(sys.argv[1])
    ov.save_model(model, folder / "float.xml", compress_to_fp16=False)
    data = nncf.Dataset([image[None] for image in images])
    quantized = nncf.quantize(model, data, subset_size=len(images))
    ov.save_model(quantized, folder / "int8.xml", compress_to_fp16=False)


main()
