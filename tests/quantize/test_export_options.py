"""The options of ``mnist-export`` about quantization."""

from __future__ import annotations

import pytest

from mnist_export.cli.export import build_parser
from mnist_export.cli.flags import as_flags, keywords_of_export
from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Precision
from mnist_export.pipeline.jobs.job import Job
from mnist_export.pipeline.request import job_of


def job(*words: str) -> Job:
    return job_of(build_parser().parse_args(list(words)), "")


@pytest.mark.parametrize(
    "words", [("--qat",), ("--auto",), ("--debug-layers",), ("--equalize",), ("--adaround",)]
)
def test_options_that_only_int8_has_ask_for_int8(words: tuple[str, ...]) -> None:
    assert job(*words).scheme.precision is Precision.INT8


def test_without_them_the_precision_stays_float32() -> None:
    assert job().scheme.precision is Precision.FLOAT32
    assert job("--sparsity", "0.5").scheme.precision is Precision.FLOAT32


def test_qat_takes_epochs_or_its_default() -> None:
    assert job("--qat").extra.qat_epochs == 3
    assert job("--qat", "7").extra.qat_epochs == 7
    assert job("--int8").extra.qat_epochs is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--qat", "0"), "1 to 1000 epochs"),
        (("--qat", "--precision", "float16"), "--int8 with --qat"),
        (("--qat", "--per-tensor"), "no --per-tensor"),
        (("--qat", "--keep-float", "conv1"), "no --keep-float"),
        (("--qat", "--adaround"), "no --adaround"),
        (("--qat", "--debug-layers"), "no --debug-layers"),
        (("--auto", "--precision", "float32"), "--auto: expected precision int8"),
        (("--qat", "--calibration-method", "mse"), "no --calibration-method"),
        (("--int8", "--tune-epochs", "2"), "--tune-epochs: expected --sparsity"),
        (("--auto", "--clusters", "4"), "--auto: expected no --sparsity or --clusters"),
        (("--qat", "--until", "dense1"), "--until: expected no --qat"),
        (("--sparsity", "1.5"), "--sparsity: expected a fraction"),
        (("--clusters", "1"), "--clusters: expected 2 to 256"),
        (("--int8", "--calibration-method", "percentil"), "Did you mean 'percentile'"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError) as refused:
        job(*words)
    assert said in as_flags(str(refused.value), keywords_of_export())


def test_improvements_are_told_to_the_scheme_in_their_order() -> None:
    assert job("--bias-correction", "--equalize").scheme.improvements == ("equalize", "bias-correction")


def test_a_trained_network_is_judged_by_its_drop_unless_agreement_is_asked_for() -> None:
    assert job("--qat").thresholds.min_agreement == 0.0
    assert job("--sparsity", "0.5").thresholds.min_agreement == 0.0
    assert job("--qat", "--min-agreement", "98").thresholds.min_agreement == 0.98
    assert job("--int8").thresholds.min_agreement == 0.99
