"""What a file says about itself, for a stranger who holds nothing else."""

from __future__ import annotations

import json

from mnist_export.core.kinds import IoType
from mnist_export.export.request import ExportRequest
from mnist_export.quantize.network.scheme import QuantizedModel

METADATA_KEY = "mnist_export"
"""Name of the TFLite metadata buffer and of the ONNX metadata property."""


def metadata_text(model: QuantizedModel, request: ExportRequest, io: IoType) -> str:
    """The metadata as JSON with sorted keys; the same model gives the same text.

    Args:
        model: the network.
        request: names and hashes.
        io: the file's input and output type.
    """
    output = model.output_quant
    fields: dict[str, object] = {
        "schema_version": 1,
        "tool_version": request.tool_version,
        "name": request.name,
        "class_names": list(request.class_names),
        "pixel_rule": model.pixel_rule(str(io)),
        **({} if model.preprocessing is None else {"preprocessing": model.preprocessing.to_json()}),
        "input_range": [model.input_range.lo, model.input_range.hi],
        "source_sha256": request.source_sha256,
        "precision": str(model.precision),
        "variant": model.variant,
        "ends_in": "logits",
        "io": str(io),
        "target": str(request.target),
        "rewrites": list(model.rewrites),
    }
    if output is not None and io != IoType.FLOAT32:
        offset = 128 if io == IoType.UINT8 else 0
        fields["logits"] = {
            "scale": float(output.scale[0]),
            "zero_point": int(output.zero_point[0]) + offset,
            "rule": "logit = scale * (output - zero_point); the largest output is the predicted class",
        }
    return json.dumps(fields, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
