"""What a file says about itself, for a stranger who holds nothing else."""

from __future__ import annotations

import json

from mnist_export.core.affine import QuantParams
from mnist_export.core.kinds import IoType
from mnist_export.export.request import ExportRequest
from mnist_export.models.outputs import ModelOutput
from mnist_export.quantize.network.scheme import QuantizedModel

METADATA_KEY = "mnist_export"
"""Name of the TFLite metadata buffer and of the ONNX metadata property."""


_DECIDES = {
    "classes": "the largest output is the predicted class",
    "labels": "a label is on where its logit is over log(t / (1 - t)) of its threshold t",
    "values": "it is the value itself",
}


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
        "ends_in": "values" if request.head == "values" else "logits",
        # as other files say nothing of it, classes are what is meant where nothing is said
        **({"head": request.head} if request.head != "classes" else {}),
        **({"threshold": list(request.threshold)} if request.threshold else {}),
        "io": str(io),
        "target": str(request.target),
        "rewrites": list(model.rewrites),
    }
    if request.outputs:
        fields["outputs"] = [
            _output(model, index, output, io)
            for index, output in zip(model.graph.outputs, request.outputs, strict=True)
        ]
    elif output is not None and io != IoType.FLOAT32:
        fields["logits"] = _codes(output, io, request.head)
    return json.dumps(fields, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def _output(model: QuantizedModel, index: int, output: ModelOutput, io: IoType) -> dict[str, object]:
    """One of several outputs: its name, what it is, and what its codes mean."""
    quant = model.graph.tensors[index].quant
    fields: dict[str, object] = {"name": output.name, "head": output.head, "width": output.width}
    if output.threshold:
        fields["threshold"] = list(output.threshold)
    if quant is not None and io != IoType.FLOAT32:
        fields |= _codes(quant, io, output.head)
    return fields


def _codes(quant: QuantParams, io: IoType, head: str) -> dict[str, object]:
    return {
        "scale": float(quant.scale[0]),
        "zero_point": int(quant.zero_point[0]) + (128 if io == IoType.UINT8 else 0),
        "rule": f"logit = scale * (output - zero_point); {_DECIDES[head]}",
    }
