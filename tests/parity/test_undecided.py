"""Why labels differ: the reference itself holds its best answers closer together than 8 bits tell apart."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_export.parity import diagnosis


class _Errors:
    step, domain = 0.01, "logits"


class _Parity:
    logits, agreement = _Errors(), 0.95


@pytest.mark.parametrize(("margin", "said"), [(0.02, True), (0.5, False)])
def test_close_answers_are_named_as_the_reason(margin, said):
    reference = np.tile(np.array([[1.0, 0.0, -1.0]], np.float32), (20, 1))
    reference[0] = [0.5, 0.5 - margin, 0.0]
    candidate = reference.copy()
    candidate[0, :2] = candidate[0, 1::-1]

    found = diagnosis._undecided(reference, candidate, _Parity())

    assert ("hardly decides" in found) == said
    assert ("2.0 steps" in found and "5% of all images" in found) == said
