"""The snippets are run as they are printed, against files of this test."""

from __future__ import annotations

import base64
import dataclasses
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_export.report.context import ModelInfo
from mnist_export.report.schema import ArtifactResult, Report
from mnist_export.report.snippets import python_snippet


def run(snippet: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def artifact(report: Report, **changes: object) -> ArtifactResult:
    return dataclasses.replace(report.artifacts[0], **changes)  # type: ignore[arg-type]


def brightest(snippet: str, place: tuple[int, int, int]) -> str:
    """The snippet with one white pixel in its image."""
    lines = snippet.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("pixels ="))
    lines.insert(at + 1, f"pixels[{', '.join(map(str, place))}] = 255")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("kind", "layout"), [("uint8", "NCHW"), ("int8", None), ("float32", None), ("float32", "NCHW")]
)
def test_the_onnx_snippet_classifies_by_the_right_pixel(
    tmp_path: Path, report: Report, kind: str, layout: str | None
) -> None:
    from onnx import TensorProto, helper, save_model

    shape = (1, 3, 2, 2) if layout == "NCHW" else (1, 2, 2, 3)
    types = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "float32": TensorProto.FLOAT}
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["real"], ["logits"]),
        ],
        "pixels",
        [helper.make_tensor_value_info("image", types[kind], ["n", *shape[1:]])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 12])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save_model(model, tmp_path / "it's.onnx")
    info = ModelInfo(name="a", source="file", input_shape=(2, 2, 3), input_range=(-1.0, 1.0))
    names = [f"class {i}" for i in range(12)]
    made = artifact(
        report, format="onnx", path="x/it's.onnx", input_type=kind, input_layout=layout, input_shape=shape
    )
    snippet = python_snippet(made, info, names)
    assert snippet is not None
    # Pixel (1, 0) of channel 2 is element (1*2+0)*3+2 in NHWC, 2*4+1*2+0 in NCHW.
    assert run(brightest(snippet, (1, 0, 2)), tmp_path) == ("class 10" if layout == "NCHW" else "class 8")


def test_a_float_file_that_computes_the_pixel_rule_takes_its_own_range(report: Report) -> None:
    info = ModelInfo(
        name="a",
        source="file",
        input_shape=(2, 2, 3),
        input_range=(-123.68, 151.061),
        preprocessing="B - 103",
    )
    made = artifact(report, format="onnx", path="a.onnx", input_type="float32", input_range=(0.0, 1.0))
    snippet = python_snippet(made, info)
    assert snippet is not None
    assert "pixels.astype(np.float32) / np.float32(255)\n" in snippet
    assert python_snippet(artifact(report, format="onnx", path="a.onnx", input_type="float32"), info) is None


# A RESHAPE from int8 (1, 2, 2, 1) to (1, 4), made with tf.lite.TFLiteConverter of TensorFlow 2.21
# from a Keras Flatten layer quantized to int8, zlib and base64.
TFLITE = (
    "eNqNVU9IFGEUf/tHd9XFhMQWE9nDEiK661pgqAfFDARXxV06dJkGd8zJddZmZyXCwDp16OChU3js6LFDZ0+dIsJTdOhQIBThwUPQ"
    "n+n3vnkzOxmFs/x23vfNe7/3vvdnJkNE5evzl3GjbspQH6Vx76IU1kmKQybsET0BPgIfIkTHwG4rUQxriNAievvTdVOiOwmcA+qG"
    "vWVat7WKsao3qk6gu+u6bkLkJFBrOJsNRxuhEN878PGdOdcNW69rjmHVazbrRIErovceXO0inwdmFhduzC6X5hYXtOJsefradHka"
    "PlLqLOyrLaS7YVqa3bAcc8PQtgy7btYs6sD+N+CYuYFXwAtgH3gO7AFPAUd4Hv3y4rwlsSapM/DVBQxwwNSq9lrFhs/4Ocb6fq7j"
    "yvbNzQdjI9lP+aicMa4siUZzo4UcsvNVfDFvIVdQe/519N11vwDHwAnQ63q6cXk+GFqz//HQmjHww3WHAK5bcX5uOTNTs5ATx6jk"
    "lH63YukMIubzdMo+1/wqlCaBqYjHt6GbFgn3EfCYdSR2ovaAo13yxvt+PyXk/CTnP0Csfd5ygu+Z4Hkzr1Gx9eUWWXPMvRJzh8Sc"
    "9bgyWamPr5cMsunpRQQtoTzFhD8qNj0q9iZ32iMYS0tevBgTKi42i4RqQKHz+muOYQ/kQ8AhNu8BA8Ah9rfF9hlmg03SkospseP2"
    "npfYXKnvNnSTUif2seN6l+/74c7OBM/Ckm47poMJMCozerWqFcZHgpwyz/1fns9u4UrIeXgOK3iWVfN+t2FgnHSY51eruoORhbRs"
    "1Nf0TSOv/n2/zP36FGdriPPl/znrjm1WjIpWr5orhl+1fvdPvhbhG+L8SA/9g68Ujo3Pe+cUl8xRlHu4jGeDZ4wNK31lvdlLB6d4"
    "Y8LLse3jGfeQbpvOWm6lZsHWcpq2hG7j9/MFmR7vSqge9Psh3ZwdFWtc/YgunbE++YKfzR71NbgYfA1I9XHYF9dpqdm7bWuSJ+6v"
    "aGgmU4F9XN6R3ryH+9Hvxf6/vxta+P2PtgzmJ+wjLnOQDdWLvw0Sb88R5JInl04gD3vycErNrjfzHFvR2y/+Bg0aNC0="
)


def test_the_litert_snippet_classifies_by_the_right_pixel(tmp_path: Path, report: Report) -> None:
    (tmp_path / "a.tflite").write_bytes(zlib.decompress(base64.b64decode(TFLITE)))
    info = ModelInfo(name="a", source="file", input_shape=(2, 2, 1))
    made = artifact(report, format="tflite", path="a.tflite", input_type="int8", input_shape=(1, 2, 2, 1))
    snippet = python_snippet(made, info)
    assert snippet is not None
    assert run(brightest(snippet, (1, 0, 0)), tmp_path) == "2"


@pytest.mark.parametrize("lo_hi", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (0.5, 2.0)])
def test_a_float_input_follows_the_input_range(report: Report, lo_hi: tuple[float, float]) -> None:
    info = ModelInfo(name="a", source="file", input_shape=(2, 2, 1), input_range=lo_hi)
    snippet = python_snippet(artifact(report, input_type="float32", input_shape=(1, 2, 2, 1)), info)
    assert snippet is not None
    line = next(line for line in snippet.splitlines() if line.startswith("batch ="))
    scope: dict[str, Any] = {"np": np, "pixels": np.array([0, 128, 255], np.uint8)}
    exec(line, scope)
    expected = lo_hi[0] + np.array([0, 128, 255]) * (lo_hi[1] - lo_hi[0]) / 255
    # One float32 rounding of the step and one of the sum: within two units in the last place of 255.
    np.testing.assert_allclose(scope["batch"], expected, atol=255 * 2**-22)
    assert scope["batch"].dtype == np.float32


@pytest.mark.parametrize(
    ("shape", "written"),
    [((784,), "(28, 28, 1)"), ((28, 28), "(28, 28, 1)"), (None, "(28, 28, 1)"), ((8, 9, 3), "(8, 9, 3)")],
)
def test_the_image_has_the_models_shape(report: Report, shape: tuple[int, ...] | None, written: str) -> None:
    snippet = python_snippet(artifact(report), ModelInfo(name="a", source="file", input_shape=shape))
    assert snippet is not None
    assert f"np.zeros({written}, np.uint8)" in snippet


def test_a_format_without_a_python_runtime_has_no_snippet(report: Report) -> None:
    assert python_snippet(artifact(report, format="c"), report.model) is None


def test_names_are_quoted_so_that_they_stay_names(report: Report) -> None:
    made = artifact(report, path='"); import os; ("\n\u202e.tflite')
    snippet = python_snippet(made, report.model, ['\'"\n"'])
    assert snippet is not None
    assert snippet.isascii()
    compile(snippet, "snippet", "exec")
    assert not [line for line in snippet.splitlines() if line.startswith("import os")]
