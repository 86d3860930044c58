"""``--target``: what a place that files go to chooses, what it refuses, and its device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mnist_export as mx
from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.core.graph.tflite_reader import parse_model
from mnist_export.core.kinds import Format, Precision
from mnist_export.export import EXPORTERS
from mnist_export.export.artifacts import write_artifacts
from mnist_export.export.described import Described
from mnist_export.export.targets import DEPLOYMENTS
from mnist_export.export.targets.operators import ETHOS_U, TABLES, TFLM
from mnist_export.export.tflm_boards import BOARDS
from mnist_export.pipeline.request import job_with
from mnist_export.pipeline.targets import devices_of_target
from mnist_export.pipeline.usage import USAGES
from mnist_export.quantize import quantize
from mnist_export.quantize.network.scheme import SchemeConfig
from mnist_export.quantize.rewrites.target import TARGETS
from mnist_export.runtime.devices import registry
from mnist_export.runtime.devices.device import Answer

DESCRIBED = Described(name="net", data=None, class_names=(), source_sha256="0" * 64, data_sha256={})


class _Toy:
    """A device of some name that answers with zeros, or compiles with some operators on the CPU."""

    def __init__(self, name, ready=True, on_cpu=None, formats=("tflite",)):
        self.name = self.title = self.needs = name
        self.ready, self.on_cpu, self.formats = ready, on_cpu, formats
        self.asked = 0

    def why_not_ready(self):
        return "" if self.ready else "not prepared"

    def answer(self, question):
        self.asked += len(question.batch)
        if self.on_cpu is not None:
            figures = {"operators on the CPU": str(self.on_cpu)}
            return Answer(values=None, figures=figures, summary=f"{self.on_cpu} fall back ('logits')")
        shape = (len(question.batch), question.classes)
        return Answer(values=np.zeros(shape, question.output_type), arena_bytes=64)


class _Table(dict):
    get = dict.__getitem__


@pytest.fixture
def devices(monkeypatch):
    def put(*toys):
        monkeypatch.setattr(registry, "DEVICES", _Table({toy.name: toy for toy in toys}))

    return put


@pytest.mark.parametrize("name", list(DEPLOYMENTS))
def test_what_a_target_states_exists(name):
    place = DEPLOYMENTS.get(name)
    assert set(place.formats) <= set(place.reads) <= set(EXPORTERS)
    assert place.form in TARGETS
    assert set(place.precisions) <= set(Precision)
    assert place.precision in {None, *place.precisions}
    assert place.io in {None, *place.ios}
    assert not place.operators or place.operators in TABLES
    assert place.usage in BOARDS or place.usage in USAGES or place.usage == "ethos-u"
    assert all(device in registry.DEVICES for device in place.devices)
    assert any(set(registry.DEVICES.get(d).formats) & set(place.formats) for d in place.devices)


@pytest.mark.parametrize("name", list(DEPLOYMENTS))
def test_every_target_stands_in_the_documentation_with_what_it_chooses(name):
    text = (Path(__file__).parents[2] / "docs" / "targets.md").read_text(encoding="utf-8")
    place = DEPLOYMENTS.get(name)
    row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    said = [
        f"`{name}`",
        place.title,
        ", ".join(place.formats),
        place.form,
        place.precision or "as asked",
        place.io or "the format's own",
        "1" if place.batch else "free",
        TABLES[place.operators].runtime if place.operators else "all",
        ", ".join(f"`{device}`" for device in place.devices),
    ]
    assert cells == said


def test_a_target_fills_in_what_is_left_open_and_no_more():
    job = job_with(target="tflm")
    assert (job.formats, job.scheme.precision, job.target) == (("tflite",), "int8", "portable")
    job = job_with(target="web", int8=True)
    assert (job.formats, job.io) == (("tflite", "onnx"), "float32")
    assert job_with(target="web").io is None
    assert job_with(target="raspberry-pi", format="onnx", io="uint8", int8=True).io == "uint8"
    assert job_with(target="tflm", precision="float32").scheme.precision == "float32"
    assert job_with(target="portable", int8=True).deployment is None
    assert job_with().formats == ("tflite",)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"target": "tflm", "format": "onnx"},
            '`target="tflm"`: expected `formats` of tflite, c, found onnx',
        ),
        ({"target": "tflm", "precision": "dynamic"}, "`precision` of float32, int8, int16x8, found dynamic"),
        ({"target": "web", "int8": True, "io": "int8"}, "`io` of float32, found int8"),
        ({"target": "ethos-u", "io": "float32"}, "`io` of int8, uint8, int16, found float32"),
        ({"target": "rasberry-pi"}, "Did you mean 'raspberry-pi'"),
    ],
)
def test_what_does_not_run_there_is_refused_before_anything_is_loaded(options, said):
    with pytest.raises(InputError, match=said):
        job_with(**options)


@pytest.fixture
def tiled(net_builder, digits):
    """A network that TFLM lacks an operator of, in int8."""
    net = net_builder((28, 28, 1), seed=5)
    counts = net.constant("counts", [1, 1, 1, 2], np.int32)
    x = net.op("TILE", "repeated", (net.conv(0, 2, stride=2), counts), (14, 14, 4), "TileOptions")
    graph = net.graph(net.dense(net.flatten(net.pool(x)), 10))
    return quantize(
        graph, SchemeConfig(precision=Precision.INT8, keep_float=("repeated",)), digits.train.images[:8]
    )


@pytest.mark.parametrize(
    ("target", "said"),
    [("tflm", "TILE at 'repeated'"), ("ethos-u", "TILE in float32 at 'repeated'")],
)
def test_a_layer_that_the_runtime_lacks_is_named_with_the_ways_out(tmp_path, tiled, target, said):
    with pytest.raises(UnsupportedError, match=said) as refused:
        write_artifacts(
            tiled, DESCRIBED, [Format.TFLITE], tmp_path / "out", deployment=DEPLOYMENTS.get(target)
        )
    assert "`until`" in str(refused.value)
    if target == "tflm":
        with pytest.raises(UnsupportedError, match=said):  # the array holds the same file
            write_artifacts(
                tiled, DESCRIBED, [Format.C], tmp_path / "out", deployment=DEPLOYMENTS.get(target)
            )
    assert not (tmp_path / "out").exists()


def test_the_tables_hold_what_the_runtimes_said():
    assert len(TFLM.kinds) == 100
    assert len(ETHOS_U.kinds) == 55
    assert "GELU" in ETHOS_U.kinds - TFLM.kinds


def test_a_file_for_the_web_has_float_ends_and_a_fixed_batch(tmp_path, devices, brief):
    web = _Toy("web", ready=False, formats=("tflite", "onnx"))
    devices(web)
    made = mx.export("lenet5", int8=True, data="digits", output=tmp_path, target="web")
    assert made.passed
    assert {artifact.format: artifact.input_type for artifact in made.report.artifacts} == {
        "tflite": "float32",
        "onnx": "float32",
    }
    graph = parse_model(made.artifacts["tflite"].path.read_bytes(), "net").subgraphs[0]
    assert all(tensor.shapeSignature is None for tensor in graph.tensors)
    (note,) = [note for note in made.report.notes if "not checked" in note]
    assert "Run: mnist-parity devices --prepare web" in note
    assert web.asked == 0
    assert [item.title for item in made.report.usage] == ["LiteRT.js", "onnxruntime-web"]


def test_the_target_s_own_device_is_asked_where_it_is_ready_and_nobody_named_another(devices):
    tflm, other = _Toy("tflm"), _Toy("other")
    devices(tflm, other)
    assert devices_of_target(job_with(target="tflm")) == ((tflm,), "")
    from mnist_export.pipeline.on_devices import devices_for

    assert devices_for(job_with(target="tflm")) == (tflm,)
    assert devices_for(job_with(target="tflm", on="other")) == (other,)
    assert devices_for(job_with(target="tflm", on="none")) == ()
    assert devices_for(job_with(target="portable")) == ()
    assert devices_for(job_with(target="tflm", exact=True)) == (tflm, other)


@pytest.mark.parametrize(("on_cpu", "state"), [(0, "compiled"), (1, "fail")])
def test_an_operator_that_falls_back_to_the_cpu_fails_a_file_for_an_npu(
    tmp_path, devices, brief, on_cpu, state
):
    devices(_Toy("ethos-u55-128", on_cpu=on_cpu))
    made = mx.export("lenet5", data="digits", output=tmp_path, target="ethos-u")
    assert [row.verdict for row in made.report.devices] == [state]
    assert made.passed == (state == "compiled")


def test_a_file_for_microcontrollers_has_the_plain_form_and_its_program_beside_it(tmp_path, devices, brief):
    devices(_Toy("tflm"))
    made = mx.export("lenet5", data="digits", output=tmp_path, target="tflm")
    names = {path.name for path in tmp_path.iterdir()}
    assert "lenet5-digits.int8.tflm.cc" in names
    assert "lenet5-digits.int8.tflm.cc" in (tmp_path / "lenet5-digits.int8.manifest.json").read_text()
    (usage,) = made.report.usage
    assert "AddMaxPool2D" in usage.code
    assert len(usage.code) < 4000
    assert len(made.report.artifacts[0].audit.operators) == 4
    assert made.report.devices[0].images == 256
