"""Search spaces, budgets and families of networks."""

from __future__ import annotations

import itertools
import random

import pytest

from mnist_export.core.errors import InputError
from mnist_export.models.families import FAMILIES, FamilyNetwork
from mnist_export.search.figures import FIGURES, parse_budget
from mnist_export.search.space import default_space, read_space, space_of
from mnist_export.search.store import Tried, digest_of, front
from mnist_export.search.values import Values


class Highest:
    """A trial that always takes the last choice and the upper end."""

    def suggest_categorical(self, name, choices):
        return choices[-1]

    def suggest_int(self, name, low, high, *, step, log):
        return high

    def suggest_float(self, name, low, high, *, step, log):
        return high


def test_a_space_is_read_with_fixed_values_lists_and_ranges(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(
        'data = "digits"\nmaximize = "accuracy"\nminimize = ["flash", "ram"]\nbudget = "flash<=16kB"\n'
        '[network]\nfamily = ["plain", "depthwise"]\nwidth = {low = 2, high = 9}\n'
        "[training]\nepochs = 3\nlearning_rate = {low = 1e-4, high = 1e-2, log = true}\n"
        '[scheme]\nprecision = "int8"\nexact = [false, true]\n'
    )
    space = read_space(path)
    assert (space.name, space.data) == ("tiny", "digits")
    assert [f.name for f in space.objectives] == ["accuracy", "flash", "ram"]
    assert space.directions == ("maximize", "minimize", "minimize")
    assert space.suggest(Highest()) == {
        "network.family": "depthwise", "network.width": 9, "training.epochs": 3,
        "training.learning_rate": 1e-2, "scheme.precision": "int8", "scheme.exact": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"netwrok": {}}, "unknown entry of a search space 'netwrok'.*Did you mean 'network'"),
        ({"network": {"widht": 3}}, "unknown setting of .network. 'widht'.*Did you mean 'width'"),
        ({"network": {"width": []}}, "network.width: expected a value, a list"),
        ({"network": {"width": {"low": 3}}}, "network.width: expected numbers low and high"),
        ({"network": {"width": {"low": 3, "high": 2}}}, "expected low <= high"),
        ({"network": {"width": {"low": 0, "high": 2, "log": True}}}, "low above 0"),
        ({"network": {"width": {"low": float("nan"), "high": 2}}}, "expected numbers low and high"),
        ({"network": 3}, "network: expected a table"),
        ({"budget": "flash<16kB"}, "expected a figure, <= or >="),
        ({"budget": "flash<=16ms"}, "expected a unit of b, kb"),
        ({"budget": "size<=16kB"}, "unknown figure 'size'"),
        ({"budget": "flash<=1.2.3kB"}, "expected a number"),
        ({"maximize": "flash"}, "expected to minimize it"),
        ({"trials": 0}, "trials: expected 1 to 100000"),
        ({"trials": True}, "trials: expected a whole number"),
        ({"seed": -1}, "seed: expected 0"),
        ({"scheme": {"output": "elsewhere"}}, "unknown setting of .scheme."),
    ],
)
def test_a_wrong_space_is_one_clear_line(table, message):
    with pytest.raises(InputError, match=message):
        space_of(table)


@pytest.mark.parametrize("content", [b"a = [", b"\xff\xfe", b"x = 1" + b" " * (1 << 20)])
def test_a_file_that_is_no_space_is_refused(tmp_path, content):
    path = tmp_path / "space.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"space\.toml: expected"):
        read_space(path)
    with pytest.raises(InputError, match="no such file"):
        read_space(tmp_path / "none.toml")


def test_budgets_have_units():
    limits = parse_budget("flash<=16kB, ram <= 8KiB,accuracy>=98%,latency<=0.2ms,macs<=1.5M,parameters<=600")
    assert [limit.value for limit in limits] == [16000, 8192, 0.98, 200, 1.5e6, 600]
    assert [limit.at_least for limit in limits] == [False, False, True, False, False, False]
    assert limits[0].excess(8000) == -0.5
    assert limits[2].excess(0.97) > 0


def test_the_default_space_and_the_digest():
    space = default_space()
    assert digest_of(space) == digest_of(space.with_changes(trials=7))
    for change in ({"data": "digits"}, {"budget": "flash<=1kB"}, {"seed": 1}, {"maximize": "agreement"}):
        assert digest_of(space) != digest_of(space.with_changes(**change))


def test_the_front_is_what_no_other_trial_beats():
    generator = random.Random(4)
    space = space_of({"maximize": "accuracy", "minimize": "flash,ram"})
    for _ in range(50):
        items = [
            Tried(
                index=i, number=i, values={}, curve=(), ended="done", why="", fits=True,
                figures={name: generator.randrange(5) for name in ("accuracy", "flash", "ram")},
            )
            for i in range(12)
        ]  # fmt: skip

        def point(item):
            return (-item.figures["accuracy"], item.figures["flash"], item.figures["ram"])

        def beaten(item, items=items):
            return any(
                all(a <= b for a, b in zip(point(o), point(item), strict=True)) and point(o) != point(item)
                for o in items
            )

        expected = {point(item) for item in items if not beaten(item)}
        chosen = [items[index] for index in front(items, space)]
        assert {point(item) for item in chosen} == expected
        assert len(chosen) == len(expected)  # equal points are on it once


@pytest.mark.parametrize(
    ("family", "head", "stride"),
    [
        (family, head, stride)
        for family, (head, stride) in itertools.product(FAMILIES, [("average", 1), ("flatten", 2)])
    ],
)
def test_every_family_builds_and_ends_in_logits(keras, family, head, stride):
    network = FamilyNetwork.of(
        {
            "family": family,
            "width": 4,
            "growth": 1.5,
            "stages": 2,
            "blocks": 2,
            "head": head,
            "stem_stride": stride,
        }
    )
    model = network.build((28, 28, 1), 10)
    assert model.output_shape == (None, 10)
    assert type(model.layers[-1]).__name__ == "Dense"
    assert network.build((32, 32, 3), 7).output_shape == (None, 7)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"family": "vit"}, "unknown family"),
        ({"width": 0}, "network.width: expected 1 to 1024"),
        ({"width": 2.5}, "network.width: expected a number"),
        ({"head": "max"}, "unknown head"),
        ({"layers": 3}, "unknown setting of a network"),
    ],
)
def test_wrong_networks_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        FamilyNetwork.of(values)


def test_too_many_stages_for_the_image(keras):
    with pytest.raises(InputError, match="at least 32x32 for 5 stages"):
        FamilyNetwork(stages=5).build((28, 28, 1), 10)


def test_values_know_what_they_are():
    assert Values.parse("a", 3).is_fixed
    assert Values.parse("a", {"low": 1, "high": 9, "step": 2}).is_whole
    assert not Values.parse("a", {"low": 1, "high": 2.5}).is_whole
    assert {FIGURES["flash"].text(v) for v in (1234, 2.5e6)} == {"1.23 kB", "2.50 MB"}
