"""Goldens of integers: chosen images, every integer kept, one flipped bit found, on devices and in C too."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import mnist_export as mx
from mnist_export.cli import parity
from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.core.graph.tflite_reader import read_tflite
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import Format
from mnist_export.export.artifacts import write_artifacts
from mnist_export.export.described import Described
from mnist_export.parity.goldens.choosing import choose
from mnist_export.parity.goldens.faults import Faults, dense_tail
from mnist_export.parity.goldens.recording import record_integers
from mnist_export.parity.integer_check import check_integers
from mnist_export.parity.integer_golden import IntegersMeta, load_integers
from mnist_export.runtime.devices.device import Answer
from mnist_export.runtime.runners.golden import load_golden
from mnist_export.runtime.runners.opening import open_runner


@pytest.fixture(scope="module")
def files(exports):
    return {"tflite": exports.tflite, "onnx": exports.onnx}


@pytest.fixture(scope="module")
def exact(exact_lenet, digits, tmp_path_factory):
    described = Described(
        name="lenet5", data="digits", class_names=digits.class_names, source_sha256="", data_sha256={}
    )
    folder = tmp_path_factory.mktemp("exact")
    written = write_artifacts(exact_lenet, described, [Format.TFLITE, Format.C], folder)
    return {item.path.suffix[1:]: item.path for item in written.artifacts}


@pytest.fixture
def float_file(lenet_graph, tmp_path):
    path = tmp_path / "float.tflite"
    path.write_bytes(write_tflite(lenet_graph))
    return path


@pytest.fixture(scope="module")
def golden(files, digits):
    with open_runner(files["tflite"], trust=True) as runner:
        return record_integers(runner, digits, 32)


@pytest.fixture
def kept(golden, tmp_path):
    path = tmp_path / "integers.npz"
    golden.save(path)
    return path


def flipped(path, folder, *, layer="conv2/kernel", place=7, bit=6):
    """The file with one bit of one weight flipped."""
    graph = read_tflite(path.read_bytes())
    index = next(i for i, t in enumerate(graph.tensors) if t.name == layer)
    data = graph.tensors[index].data.copy()
    data.view(np.uint8).flat[place] ^= 1 << bit
    changed = graph.with_tensors({index: replace(graph.tensors[index], data=data)})
    target = folder / "flipped.tflite"
    target.write_bytes(write_tflite(changed))
    return target


def test_a_golden_comes_back_whole_and_the_same_recording_gives_the_same_bytes(golden, kept, files, digits):
    found = load_integers(kept)
    assert found.meta == golden.meta
    assert np.array_equal(found.images, golden.images)
    assert np.array_equal(found.outputs, golden.outputs)
    assert found.meta.images == len(found.images) == 32
    known = found.places >= 0
    assert np.array_equal(found.images[known], digits.test.images[found.places[known]])
    with open_runner(files["tflite"], trust=True) as runner:
        record_integers(runner, digits, 32).save(kept.with_name("again.npz"))
    assert kept.read_bytes() == kept.with_name("again.npz").read_bytes()


def test_a_file_and_another_format_of_it_give_every_integer(kept, files, capsys):
    assert parity.main(["check", str(kept), str(files["tflite"]), str(files["onnx"]), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["same_file"], row["differing"], row["verdict"]) for row in rows] == [
        (True, 0, "pass"),
        (False, 0, "pass"),
    ]


def test_one_flipped_bit_of_a_weight_is_found(kept, files, tmp_path, capsys):
    bad = flipped(files["tflite"], tmp_path)
    junit = tmp_path / "junit.xml"
    assert parity.main(["check", str(kept), str(bad), "--junit", str(junit)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("FAIL: flipped.tflite on litert: ")
    assert "expected" in out
    assert "The file is not the recorded one" in out
    assert 'failures="1"' in junit.read_text()


def test_another_output_scale_is_found_though_the_integers_are_equal(golden, files, tmp_path):
    graph = read_tflite(files["tflite"].read_bytes())
    index = graph.outputs[0]
    quant = graph.tensors[index].quant
    changed = replace(graph.tensors[index], quant=replace(quant, scale=quant.scale * 1.5))
    other = replace(golden, meta=replace(golden.meta, scale=golden.meta.scale * 1.5))
    assert changed.quant.scale[0] != quant.scale[0]
    with open_runner(files["tflite"], trust=True) as runner:
        result = check_integers(other, [runner])
    assert not result.passed
    assert "expected the output's scale" in result.verdict


def test_from_python_and_by_the_fixture(files, tmp_path, parity):
    path = tmp_path / "golden.npz"
    golden = mx.record(files["onnx"], path, data="digits", integers=True, images=8)
    assert golden.meta.output_type == "uint8"
    result = mx.check(path, [files["tflite"], files["onnx"]])
    assert result.passed
    assert "All integers of 8 images" in result.verdict
    assert parity(path, files["onnx"]).passed
    with pytest.raises(pytest.fail.Exception, match="integers differ"):
        parity(path, flipped(files["tflite"], tmp_path, bit=7))


@dataclass
class _Fake:
    """A device that answers as the file does here, but for one integer."""

    runner: Any
    change: int
    name: str = "fake"
    formats: tuple[str, ...] = ("tflite",)

    def answer(self, question):
        values = self.runner.run_integers(question.images).copy()
        values[1, 2] += self.change
        return Answer(values=values)


@pytest.mark.parametrize("change", [0, 1])
def test_a_device_s_integers_are_compared_with_the_recorded_ones(golden, files, change):
    with open_runner(files["tflite"], trust=True) as runner:
        own, there = check_integers(golden, [runner], [_Fake(runner=runner, change=change)]).rows
    assert own.differing == 0
    assert (there.place, there.differing, there.images_differ) == ("fake", change, change)
    assert there.verdict == ("fail" if change else "pass")


def test_chosen_images_show_more_faults_than_the_first_ones(files, digits):
    with open_runner(files["tflite"], trust=True) as runner:
        tail = dense_tail(runner)
        assert [layer.weights.shape for layer in tail] == [(120, 400), (84, 120), (10, 84)]
        images = {
            "chosen": choose(runner, digits.test.images, 16, pool=300).images,
            "first": digits.test.images[:16],
        }
        found = {name: _flips_found(runner, images[name], files["tflite"]) for name in images}
    assert found["chosen"] > 1.1 * found["first"]


def _flips_found(runner, images, path):
    """How many of 100 flips of dense weights, of another seed than the choice's, change an integer."""
    graph = read_tflite(path.read_bytes())
    names = [i for i, t in enumerate(graph.tensors) if t.name in {"dense1/kernel", "dense2/kernel"}]
    rng, own, count = np.random.default_rng(99), runner.run_integers(images), 0
    for _ in range(100):
        index = names[rng.integers(2)]
        data = graph.tensors[index].data.copy()
        data.view(np.uint8).flat[rng.integers(data.size)] ^= 1 << rng.integers(8)
        content = write_tflite(graph.with_tensors({index: replace(graph.tensors[index], data=data)}))
        with type(runner)(content, label="flipped") as other:
            count += not np.array_equal(other.run_integers(images), own)
    return count


def test_a_fault_that_is_said_to_show_changes_the_logits(files, digits):
    """The choice's arithmetic is float32's, the runtime's own rounding differs at ties: nearly all agree."""
    with open_runner(files["tflite"], trust=True) as runner:
        tail = dense_tail(runner)
        faults = Faults(tail, size=200)
        from mnist_export.parity.goldens.choosing import _dense_input
        from mnist_export.parity.layers.activations import activations_of

        images = digits.test.images[:4]
        layers = activations_of(runner, images, count=4)
        codes = _dense_input(layers, tail, runner.run_integers(images))
        graph = read_tflite(files["tflite"].read_bytes())
        own, right, said = runner.run_integers(images), 0, 0
        shown = np.array([faults.shown(row) for row in codes])
        for name, (places, unit, value, change) in zip(
            ("dense1/kernel", "dense2/kernel", "logits/kernel"), faults._drawn, strict=True
        ):
            index = next(i for i, t in enumerate(graph.tensors) if t.name == name)
            for place, u, v, d in zip(places[:20], unit, value, change, strict=False):
                data = graph.tensors[index].data.copy()
                data[u, v] = np.int8(int(data[u, v]) + int(d))
                content = write_tflite(graph.with_tensors({index: replace(graph.tensors[index], data=data)}))
                with type(runner)(content, label="flipped") as other:
                    differs = (other.run_integers(images) != own).any(axis=1)
                right += int((differs == shown[:, place]).sum())
                said += len(images)
    assert right >= 0.97 * said


def test_a_float_output_and_a_model_are_refused(float_file, digits, tmp_path):
    with (
        open_runner(float_file, trust=True) as runner,
        pytest.raises(UnsupportedError, match="found float32"),
    ):
        record_integers(runner, digits)
    assert parity.main(["record", "lenet5", "--integers", "-o", str(tmp_path / "g.npz")]) == 2


def test_another_network_and_options_without_meaning_are_refused(kept, float_file, files, capsys):
    assert parity.main(["check", str(kept), str(float_file), "--trust"]) == 2
    assert "expected integer outputs" in capsys.readouterr().err
    assert parity.main(["check", str(kept), str(files["tflite"]), "--max-drop", "1"]) == 2
    assert "--max-drop: has no meaning" in capsys.readouterr().err
    assert parity.main(["check", str(files["tflite"]), str(kept), "--data", "digits"]) == 2
    with pytest.raises(InputError, match="holds an artifact's own integers"):
        load_golden(kept)


def rewritten(path, **changes):
    with np.load(path) as arrays:
        members = {name: arrays[name] for name in arrays}
    meta = json.loads(members["meta"].tobytes())
    meta.update(changes.pop("meta", {}))
    members["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    members.update(changes)
    np.savez(path, **{k: v for k, v in members.items() if v is not None})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"meta": {"schema_version": 2}}, "schema version 1 of a golden of integers, found 2"),
        ({"meta": {"kind": "golden"}}, "expected a golden of integers"),
        ({"meta": {"images": 31}}, "expected 'images' as uint8"),
        ({"meta": {"images": 10**9}}, "description is damaged"),
        ({"meta": {"classes": "10"}}, "description is damaged"),
        ({"meta": {"output_type": "object"}}, "description is damaged"),
        ({"meta": {"scale": float("nan")}}, "description is damaged"),
        ({"meta": {"zero_point": 1000}}, "description is damaged"),
        ({"meta": {"image_shape": [28, 28]}}, "description is damaged"),
        ({"meta": {"sha256": "x"}}, "description is damaged"),
        ({"images": np.zeros((32, 28, 28, 1), np.uint8)}, "images were changed"),
        ({"outputs": None}, "expected the array 'outputs'"),
        ({"outputs": np.zeros((32, 10), np.int64)}, "expected 'outputs' as int8"),
        ({"places": np.array([{}] * 32, object)}, "places"),
    ],
)
def test_a_hostile_golden_is_one_line(kept, files, capsys, changes, text):
    rewritten(kept, **changes)
    with pytest.raises(InputError, match=text):
        load_integers(kept)
    assert parity.main(["check", str(kept), str(files["tflite"]), "--trust"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_every_truncation_and_flipped_byte_is_refused_or_harmless(golden, kept):
    whole = kept.read_bytes()
    for size in range(0, len(whole), max(1, len(whole) // 25)):
        kept.write_bytes(whole[:size])
        with pytest.raises(InputError):
            load_integers(kept)
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        kept.write_bytes(damaged)
        try:
            found = load_integers(kept)
        except InputError:
            continue
        assert np.array_equal(found.outputs, golden.outputs)


def test_the_description_s_json_form_comes_back(golden):
    fields = json.loads(json.dumps(golden.meta.to_json()))
    assert IntegersMeta.from_json(fields, label="golden") == golden.meta


def test_a_loop_in_c_finds_a_changed_weight(exact, tmp_path):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler on this machine")
    whole = str(tmp_path / "integers.npz")
    options = ["--data", "digits", "--integers", "-q"]
    assert parity.main(["record", str(exact["tflite"]), *options, "--images", "16", "-o", whole]) == 0
    assert parity.main(["check", whole, str(exact["c"]), "--trust", "-q"]) == 0
    header = str(tmp_path / "golden.h")
    assert parity.main(["record", whole, "--integers", "--format", "c", "-o", header, "-q"]) == 0
    text = exact["c"].read_text()
    found = re.search(r"const int8_t \w+\[[^\]]*\] = \{\s*(-?\d+)", text)
    changed = f"{text[: found.start(1)]}{int(found[1]) ^ 64}{text[found.end(1) :]}"
    for name, source, expected in (("sound", text, 0), ("changed", changed, 1)):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(exact["c"].with_suffix(".h"), folder)
        (folder / "net.c").write_text(source)
        flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-DGOLDEN_PREDICT=lenet5_predict"]
        build = ["cc", *flags, "-o", "run", str(tmp_path / "golden.c"), "net.c"]
        subprocess.run(build, cwd=folder, check=True, timeout=120)
        done = subprocess.run(["./run"], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == expected, done.stdout
        assert done.stdout.startswith("16 images, ")
        assert done.stdout.startswith("16 images, 0 differ") == (not expected)
