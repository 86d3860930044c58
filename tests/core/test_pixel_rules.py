"""Pixel rules by channel: what they compute, how they are stated, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.core.pixel_options import stated_rule
from mnist_export.core.pixel_rules import (
    PRESETS,
    ChannelRule,
    between,
    by_channel,
    rule_from_json,
    rule_to_json,
    same_rule,
)
from mnist_export.core.pixels import InputRange

PICTURES = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.mark.parametrize("name", ["caffe", "torch", "tf"])
def test_presets_are_those_of_keras_applications(name, keras):
    from keras.applications.imagenet_utils import preprocess_input

    expected = preprocess_input(PICTURES.astype(np.float32), mode=name, data_format="channels_last")
    found = PRESETS[name].to_real(PICTURES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_mean_and_std_act_on_pixels_in_0_to_1():
    rule = stated_rule(mean="0.485,0.456,0.406", std=STD)
    expected = (PICTURES / 255 - np.array(MEAN)) / np.array(STD)
    np.testing.assert_allclose(rule.to_real(PICTURES), expected, atol=1e-5)
    assert same_rule(rule, PRESETS["torch"])


def test_bgr_takes_blue_first_and_its_mean_in_the_model_s_order():
    rule = stated_rule(mean="0.1,0.2,0.3", channels="bgr")
    np.testing.assert_allclose(
        rule.to_real(PICTURES), PICTURES[..., ::-1] / 255 - np.array([0.1, 0.2, 0.3]), atol=1e-6
    )


def test_an_inverted_range_makes_white_the_lower_end():
    rule = stated_rule(input_range="1,0")
    np.testing.assert_allclose(rule.to_real(PICTURES), 1 - PICTURES / 255, atol=1e-6)
    assert rule.span == (0, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"input_range": "-1,1"},
        {"mean": 0.5, "std": 0.5},
        {"mean": "0.5,0.5,0.5", "std": "0.5"},
        {"preprocess": "tf"},
    ],
)
def test_what_one_range_says_is_that_range(options):
    assert stated_rule(**options) == InputRange(lo=-1, hi=1)
    assert stated_rule(channels="rgb", input_range="0,1") == stated_rule(channels="rgb") == InputRange()
    assert stated_rule() is None


RULES = [
    *PRESETS.values(),
    between(1, 0),
    between(255, -1.5),
    between(-1, 1, reverse=True),
    by_channel(MEAN, STD, reverse=True),
    by_channel((0.1,), (0.2, 0.3, 0.4, 0.5)),
    InputRange(lo=-0.1234567, hi=3),
]


@pytest.mark.parametrize("rule", RULES)
def test_words_and_json_say_all_of_a_rule(rule):
    words = rule.words()
    options = {flag[2:].replace("-", "_"): value for flag, value in zip(words[::2], words[1::2], strict=True)}
    assert same_rule(stated_rule(**options), rule)
    assert rule_from_json(json.loads(json.dumps(rule_to_json(rule)))) == rule


def test_rules_that_differ_are_not_the_same():
    for number, rule in enumerate(RULES):
        assert [same_rule(rule, other) for other in RULES].index(True) == number
        assert sum(same_rule(rule, other) for other in RULES) == 1
    assert not same_rule(between(0, 1), between(0, 1, reverse=True))


def test_a_rule_reads_as_a_formula():
    assert PRESETS["caffe"].sentence() == "B - 103.939, G - 116.779, R - 123.68"
    assert between(1, 0).sentence() == "1 - pixel / 255"
    assert by_channel((0.5, 0, 0), (1, 0.5, 0.001)).sentence() == "R / 255 - 0.5, G / 127.5, B * 3.92157"


def test_a_rule_of_one_entry_holds_for_pictures_of_any_channels():
    assert between(1, 0).of_channels(3).to_real(PICTURES).shape == PICTURES.shape
    with pytest.raises(InputError, match=r"`preprocess=.caffe.`: expected pictures of 3 channels.*found 1"):
        PRESETS["caffe"].to_real(PICTURES[..., :1])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"preprocess": "caffe", "mean": "0.5"}, "`preprocess`: expected no `mean` beside it"),
        ({"preprocess": "torch", "input_range": "0,1"}, "`preprocess`: expected no `input_range`"),
        ({"input_range": "0,1", "std": "0.5"}, "`input_range`: expected no `std` beside it"),
        ({"preprocess": "cafe"}, "Did you mean 'caffe'"),
        ({"channels": "brg"}, "bgr"),
        ({"mean": "123.68,116.779,103.939"}, "0.48502,0.457957,0.407604"),
        ({"mean": "a,b"}, "`mean`: expected a number or one a channel"),
        ({"mean": ()}, "`mean`: expected a number"),
        ({"mean": "nan"}, "`mean`: expected a number"),
        ({"std": "0"}, "`std`: expected numbers above 0"),
        ({"std": "0.1,0.2"}, None),
        ({"std": "0.1,0.2", "mean": "0,0,0"}, "found 3 and 2"),
        ({"std": "0.1,0.2", "channels": "bgr"}, "which is of 3"),
        ({"input_range": "1,1"}, "`input_range`: expected two different finite numbers"),
        ({"input_range": "1"}, "`input_range`: expected two numbers"),
        ({"input_range": "inf,0"}, "`input_range`: expected two different finite numbers"),
    ],
)
def test_options_that_make_no_rule_are_refused_in_one_line(options, said):
    if said is None:
        assert len(stated_rule(**options).order) == 2
        return
    with pytest.raises(InputError, match=said) as refused:
        stated_rule(**options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"scale": [1.0], "shift": [0.0, 1.0], "order": [0]},
        {"scale": [0.0], "shift": [0.0], "order": [0]},
        {"scale": [float("nan")], "shift": [0.0], "order": [0]},
        {"scale": [1.0] * 3, "shift": [0.0] * 3, "order": [0, 0, 1]},
        {"scale": [1.0] * 100, "shift": [0.0] * 100, "order": list(range(100))},
        {"scale": "1", "shift": [0.0], "order": [0]},
        [1, 2, 3],
    ],
)
def test_damaged_json_is_no_rule(fields):
    with pytest.raises((InputError, TypeError, KeyError, ValueError)):
        ChannelRule.from_json(fields)
