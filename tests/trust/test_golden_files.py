"""Golden files that are damaged or of something else must fail, never pass for want of a comparison."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest


@pytest.fixture(scope="module")
def arrays(golden):
    with np.load(golden) as found:
        return {key: found[key] for key in found.files}


@pytest.fixture()
def refuse_golden(refuses, parity_main, exported, tmp_path, out):
    def check(content, says, *more):
        path = tmp_path / "golden.npz"
        path.write_bytes(content)
        words = ("check", path, exported / "net.int8.tflite", "--no-latency", "-q", "-o", out)
        return refuses(parity_main, *words, *(more or ("--data", "digits")), says=says)

    return check


def saved(arrays, **meta):
    fields = json.loads(arrays["meta"].tobytes())
    stream = io.BytesIO()
    text = np.frombuffer(json.dumps({**fields, **meta}).encode(), np.uint8)
    np.savez_compressed(stream, **{**arrays, "meta": text})
    return stream.getvalue()


def test_the_recording_itself_passes(run, parity_main, golden, exported):
    done = run(parity_main, "check", golden, exported / "net.int8.tflite", "--no-latency", "-q")
    assert done.code == 0, done.err


@pytest.mark.parametrize("content", [b"", b"text\n" * 99, b"PK\x05\x06" + bytes(18)])
def test_what_is_no_recording(refuse_golden, content):
    refuse_golden(content, "golden.npz")


@pytest.mark.parametrize("share", [0.1, 0.6, 0.99])
def test_truncated(refuse_golden, golden, share):
    content = golden.read_bytes()
    refuse_golden(content[: int(len(content) * share)], "damaged")


def test_of_other_images(refuse_golden, arrays):
    refuse_golden(saved(arrays, images_sha256="0" * 64), "other images")


def test_of_other_labels(refuse_golden, arrays):
    refuse_golden(saved(arrays, labels_sha256="0" * 64), "other labels")


def test_of_fewer_rows_than_it_says(refuse_golden, arrays):
    refuse_golden(saved({**arrays, "logits": arrays["logits"][:-1]}), "shape|disagree")


def test_of_no_rows(refuse_golden, arrays):
    none = {"logits": arrays["logits"][:0], "predictions": arrays["predictions"][:0]}
    refuse_golden(saved({**arrays, **none}, images=0), "damaged|images")


def test_of_another_number_of_classes(refuse_golden, arrays):
    logits = arrays["logits"][:, :7].copy()
    changed = {**arrays, "logits": logits, "predictions": logits.argmax(axis=1).astype(np.int64)}
    names = [str(i) for i in range(7)]
    refuse_golden(saved(changed, classes=7, class_names=names), "class")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_answers_that_are_not_finite(refuse_golden, arrays, bad):
    logits = arrays["logits"].copy()
    logits[5, 3] = bad
    refuse_golden(saved({**arrays, "logits": logits}), "finite")


def test_predictions_that_do_not_fit_the_logits(refuse_golden, arrays):
    refuse_golden(saved({**arrays, "predictions": (arrays["predictions"] + 1) % 10}), "disagree")


def test_int8_answers_where_float_ones_belong(refuse_golden, arrays):
    refuse_golden(saved({**arrays, "logits": arrays["logits"].astype(np.int8)}), "float32")


def test_a_missing_array(refuse_golden, arrays):
    refuse_golden(saved({k: v for k, v in arrays.items() if k != "logits"}), "'logits'")


def test_another_schema_version(refuse_golden, arrays):
    refuse_golden(saved(arrays, schema_version=999), "schema version")


def test_a_description_that_is_no_json(refuse_golden, arrays):
    stream = io.BytesIO()
    np.savez(stream, **{**arrays, "meta": np.frombuffer(b"{" * 5000, np.uint8)})
    refuse_golden(stream.getvalue(), "JSON|description")


def test_a_pickled_member(refuse_golden, arrays, marker):
    class Evil:
        def __reduce__(self):
            return open, (str(marker), "w")

    stream = io.BytesIO()
    np.savez(stream, **{**arrays, "logits": np.array([Evil()], dtype=object)})
    refuse_golden(stream.getvalue(), "logits")


def test_a_bomb(refuse_golden, arrays):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("logits.npy", bytes(300 << 20))
    content = stream.getvalue()
    del stream
    refuse_golden(content, "golden.npz")


def test_a_header_of_a_tebibyte(refuse_golden, arrays):
    stream = io.BytesIO()
    np.savez(stream, **{k: v for k, v in arrays.items() if k != "logits"})
    header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 38,)}
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, header)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("logits.npy", member.getvalue())
    refuse_golden(stream.getvalue(), "logits")


def test_as_a_candidate(refuses, parity_main, golden, out):
    words = ("check", golden, golden, "--data", "digits", "--no-latency", "-q", "-o", out)
    refuses(parity_main, *words, says="reference")


def test_it_is_not_written_over_the_data_or_the_model(refuses, parity_main, net_files, tmp_path, digits):
    model, data = tmp_path / "net.keras", tmp_path / "data.npz"
    model.write_bytes(net_files["net.keras"])
    train, test = digits.train, digits.test
    np.savez(data, x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)
    refuses(parity_main, "record", model, "--data", data, "-q", "-o", data, says="data")
