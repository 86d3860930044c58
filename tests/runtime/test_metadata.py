"""The pixel rule in a file's metadata: read whole, or refused in one line."""

from __future__ import annotations

import json

import pytest

from mnist_export.core.errors import InputError
from mnist_export.core.pixel_rules import PRESETS
from mnist_export.runtime.foreign.metadata import Metadata

FIELDS = {
    "schema_version": 1, "name": "net", "class_names": ["a", "b"], "pixel_rule": "pixel - 128",
    "input_range": [0, 1], "precision": "int8",
}  # fmt: skip


def parse(**more):
    return Metadata.parse(json.dumps(FIELDS | more).encode(), label="net.tflite")


def test_a_rule_that_the_file_computes_is_read():
    assert parse().preprocessing is None
    rule = PRESETS["caffe"]
    assert parse(preprocessing=rule.to_json()).preprocessing == rule


@pytest.mark.parametrize(
    "rule",
    [
        {"scale": [1.0], "shift": [0.0]},
        {"scale": [1.0, 1.0, 1.0], "shift": [0.0, 0.0, 0.0], "order": [0, 2, 1]},
        {"scale": [0.0], "shift": [0.0], "order": [0]},
        {"scale": [10**400], "shift": [0.0], "order": [0]},
        {"scale": [None], "shift": [0.0], "order": [0]},
        "caffe",
        [0, 1],
    ],
)
def test_a_damaged_rule_is_refused_by_the_file_s_name(rule):
    with pytest.raises(InputError, match=r"net\.tflite: the metadata") as refused:
        parse(preprocessing=rule)
    assert "\n" not in str(refused.value)
