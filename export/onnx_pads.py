"""How paddings other than by zeros are written in ONNX.

Reference: ONNX operator specification of Pad; tensorflow/lite/kernels/mirror_pad.cc.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Op
from mnist_export.export.onnx_builder import OnnxBuilder, has_codes, onnx_dtype, refuse


def _amounts(builder: OnnxBuilder, op: Op) -> npt.NDArray[np.int64]:
    data = builder.graph.tensors[op.inputs[1]].data
    if data is None:
        raise refuse(builder.graph.tensors[op.outputs[0]], "computes its padding at run time")
    return data.reshape(-1, 2).astype(np.int64)


def pad_value(builder: OnnxBuilder, op: Op) -> str:
    """PADV2: a constant around, on the codes where there are such."""
    target = builder.graph.tensors[op.outputs[0]]
    value = builder.graph.tensors[op.inputs[2]]
    if value.data is None:
        raise refuse(target, "computes its padding's value at run time")
    codes = has_codes(target)
    filler = value.data.reshape(())
    if codes and value.quant is None:
        raise refuse(target, "pads codes with a value that has no code")
    if codes:
        filler = (filler.astype(np.int16) + 128).astype(np.uint8) if target.dtype == np.int8 else filler
    table = builder.constant(f"{target.name}/pads", _amounts(builder, op).T.ravel())
    fill = builder.constant(f"{target.name}/value", filler.astype(onnx_dtype(target)))
    padded = builder.node(
        "Pad",
        [builder.native(op.inputs[0], codes=codes), table, fill],
        f"{target.name}/padded",
        mode="constant",
    )
    builder.keep(op.outputs[0], padded, codes=codes)
    return ""


def mirror_pad(builder: OnnxBuilder, op: Op) -> str:
    """MIRROR_PAD as a Gather along each padded axis.

    ONNX's Pad knows reflection, but symmetry (the edge twice) only as a Gather; both are one here.
    """
    source, target = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.outputs[0]]
    codes = has_codes(target)
    value = builder.native(op.inputs[0], codes=codes)
    symmetric = int(op.options.get("mode", 0)) == 1
    for axis, (before, after) in enumerate(_amounts(builder, op).tolist()):
        if not before and not after:
            continue
        places = np.pad(
            np.arange(source.shape[axis]), (before, after), mode="symmetric" if symmetric else "reflect"
        )
        index = builder.constant(f"{target.name}/places", places.astype(np.int64))
        value = builder.node("Gather", [value, index], f"{target.name}/padded", axis=axis)
    builder.keep(op.outputs[0], value, codes=codes)
    return ""
