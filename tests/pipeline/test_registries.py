"""A new format, target, device, way to quantize or data reader is one new file and one line in a table."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.kinds import Format, Precision
from mnist_export.data.registry import READERS
from mnist_export.export import EXPORTERS
from mnist_export.pipeline.methods import METHODS
from mnist_export.quantize.network.scheme import QuantizedModel
from mnist_export.quantize.rewrites import TARGETS, Target
from mnist_export.runtime.devices.registry import DEVICES

FILES = {
    "format": """
from mnist_export.quantize.rewrites.target import Target


class Listing:
    own_target = Target.PORTABLE

    def export(self, model, request):
        lines = [op.kind for op in model.graph.ops]
        return {".txt": "\\n".join(lines).encode()}
""",
    "target": """
from mnist_export.quantize.rewrites.block_choice import Kernels
from mnist_export.quantize.rewrites.target import TargetForm

FORM = TargetForm(title="a chip", kernels=Kernels(inputs=8, outputs=8, misaligned=1.0, operator=1.0))
""",
    "device": """
class Toaster:
    name = "toaster"
    title = "a toaster"
    needs = "bread"
    formats = ("tflite",)

    def why_not_ready(self):
        return "it is cold"

    def prepare(self, notify, *, quiet=False):
        notify("warming")

    def answer(self, question):
        raise NotImplementedError


DEVICE = Toaster()
""",
    "method": """
from dataclasses import replace

from mnist_export.pipeline.jobs.option import Option
from mnist_export.pipeline.methods import METHODS
from mnist_export.pipeline.methods.method import Method


def make(job, source, progress):
    made = METHODS.get("post-training").make(job, source, progress)
    note = f"shrugged {job.options['shrug']} times"
    return replace(made, network=replace(made.network, notes=(*made.network.notes, note)))


METHOD = Method(
    title="shrugging",
    wanted=lambda job: job.options["shrug"] is not None,
    make=make,
    options=(Option(name="shrug", help="shrug N times", kind=int, metavar="N"),),
)
""",
    "reader": """
import numpy as np

from mnist_export.data.dataset import Dataset, Provenance, Split


class Ones:
    def accepts(self, path):
        return path.suffix == ".ones"

    def __call__(self, path, request):
        count = int(path.read_text())
        part = Split(images=np.full((count, 8, 8, 1), 1, np.uint8), labels=np.arange(count) % 2)
        return Dataset(
            name=path.stem, train=part, validation=part, test=part, class_names=("a", "b"),
            provenance=Provenance(source="ones", path=str(path)),
        )


READER = Ones()
""",
}
# What the new file's line in its table says.
LINES = {
    "format": (EXPORTERS, "listing", "Listing"),
    "target": (TARGETS, "chip", "FORM"),
    "device": (DEVICES, "toaster", "DEVICE"),
    "method": (METHODS, "shrugging", "METHOD"),
    "reader": (READERS, "ones", "READER"),
}


@pytest.fixture
def added(tmp_path, monkeypatch):
    """Write one of the files and put its line first into its table."""

    def add(kind):
        module = f"dummy_{kind}_of_a_test"
        (tmp_path / f"{module}.py").write_text(FILES[kind])
        monkeypatch.syspath_prepend(str(tmp_path))
        table, name, attribute = LINES[kind]
        monkeypatch.setattr(table, "_entries", {name: f"{module}:{attribute}", **table._entries})

    return add


def network():
    quiet = np.zeros((2, 3), np.float32)
    tensors = (
        Tensor(name="x", shape=(-1, 3), dtype=np.dtype(np.float32)),
        Tensor(name="w", shape=(2, 3), dtype=np.dtype(np.float32), data=quiet),
        Tensor(name="y", shape=(-1, 2), dtype=np.dtype(np.float32)),
    )
    ops = (Op(kind="FULLY_CONNECTED", inputs=(0, 1), outputs=(2,), options={}),)
    return QuantizedModel(
        graph=Graph(tensors=tensors, ops=ops, inputs=(0,), outputs=(2,)), precision=Precision.FLOAT32
    )


def test_a_new_format_is_offered_and_written(added, tmp_path, capsys):
    from mnist_export.cli.export import main
    from mnist_export.export.artifacts import write_artifacts
    from mnist_export.export.described import Described

    added("format")
    assert main(["--help"]) == 0
    assert "listing, tflite, onnx, c" in capsys.readouterr().out
    described = Described(name="n", data=None, class_names=("a", "b"), source_sha256="0" * 64, data_sha256={})
    written = write_artifacts(network(), described, [Format("listing")], tmp_path / "out")
    assert written.artifacts[0].path.read_text() == "FULLY_CONNECTED"
    assert "n.float32.txt" in written.manifest.read_text()


def test_a_new_target_is_offered_and_its_rule_is_used(added, capsys):
    from mnist_export.cli.export import main
    from mnist_export.export.rewriting import target_for
    from mnist_export.quantize.rewrites import never, rule_of

    assert main(["--target", "chip"]) == 2
    assert "unknown target 'chip'" in capsys.readouterr().err
    added("target")
    assert main(["--help"]) == 0
    assert "chip, native" in " ".join(capsys.readouterr().out.split())
    assert target_for(Target("chip"), Format.TFLITE) == "chip"
    assert rule_of(Target("chip")) is not never
    assert rule_of(Target.PORTABLE) is never


def test_a_new_device_is_listed_and_can_be_asked_for(added, capsys):
    from mnist_export.cli.parity import main
    from mnist_export.runtime.devices.registry import devices_of

    added("device")
    assert main(["devices"]) == 0
    shown = capsys.readouterr()
    assert "toaster" in shown.out + shown.err and "it is cold" in shown.out + shown.err
    assert devices_of("on", "toaster")[0].title == "a toaster"


def test_a_new_way_to_quantize_brings_its_option(added, tmp_path, capsys):
    import mnist_export as mx
    from mnist_export.cli.export import main

    assert main(["--shrug", "3"]) == 2
    added("method")
    assert main(["help", "quantization"]) == 0
    assert "--shrug N" in capsys.readouterr().out
    result = mx.export(data="digits", precision="float32", output=tmp_path / "out", shrug=3)
    assert result.passed
    assert "shrugged 3 times" in result.to_json()


def test_a_new_data_reader_reads_its_files(added, tmp_path):
    from mnist_export.data import load_dataset

    added("reader")
    path = tmp_path / "six.ones"
    path.write_text("6")
    assert len(load_dataset(str(path), notify=lambda _: None).test) == 6
