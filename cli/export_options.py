"""The options of ``mnist-export`` that the ways to quantize bring with them, as argparse has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mnist_export.cli.flags import as_flags, flag_of, keywords_of_export
from mnist_export.cli.parser import completes
from mnist_export.pipeline.jobs.option import Option
from mnist_export.pipeline.methods import method_options


def add_model_code_options(parser: Any) -> None:
    """Add what a user gives beside a model file."""
    parser.add_argument(
        "--custom", metavar="FILE.py", help="the code of the model's own layers (with --trust, which runs it)"
    )
    parser.add_argument(
        "--architecture", metavar="A",
        help="of a file of weights (.weights.h5): the JSON of model.to_json(), or an architecture's name",
    )  # fmt: skip


def add_pixel_options(parser: Any) -> None:
    """Add what states a pixel rule beside ``--input-range``."""
    parser.add_argument(
        "--mean", metavar="M[,M,M]",
        help="with --std: the model takes (pixel / 255 - mean) / std; one number or one a channel, in the "
        "model's order, such as 0.485,0.456,0.406",
    )  # fmt: skip
    parser.add_argument("--std", metavar="S[,S,S]", help="see --mean (default 1), such as 0.229,0.224,0.225")
    channels = parser.add_argument(
        "--channels", metavar="C", help="order in which the model takes colours: rgb (default) or bgr"
    )
    completes(channels, known=("rgb", "bgr"))
    presets = parser.add_argument(
        "--preprocess", metavar="P",
        help="the whole rule, as in keras.applications: caffe (BGR, ImageNet's mean taken off), torch (its "
        "mean and std on 0..1), tf (-1..1)",
    )  # fmt: skip
    completes(presets, known=("caffe", "torch", "tf"))


def add_head_options(group: Any, *, limit: bool = True) -> None:
    """Add what says what the outputs are, and where wanted what numbers are judged by."""
    if limit:
        group.add_argument(
            "--max-error", metavar="X",
            help="outputs that are numbers: largest error against the original, in their units (default: "
            "RMSE "
            "of 5%% of their standard deviation)",
        )  # fmt: skip
    head = group.add_argument(
        "--head", default="auto", metavar="H",
        help="what the outputs are: auto (default), classes, labels (several sigmoids), values (numbers)",
    )  # fmt: skip
    completes(head, known=("auto", "classes", "labels", "values"))
    group.add_argument(
        "--threshold", metavar="T[,T]",
        help="of one sigmoid: the second class is taken over it; of several: each label is on over it "
        "(0.5); one "
        "for all, or one a label",
    )  # fmt: skip


def add_method_options(first: Any, topics: Mapping[str, Any]) -> None:
    """Add the options of every way to quantize.

    Args:
        first: the parser or group of the first screen.
        topics: topic to the group that has its options.
    """
    for option in method_options():
        _add(first if option.first else topics[option.topic], option)


def _add(group: Any, option: Option) -> None:
    flag, text = flag_of(option.name), as_flags(option.help, keywords_of_export())
    if option.kind is bool:
        group.add_argument(flag, action="store_true", help=text)
        return
    count = {"nargs": "+"} if option.many else {"nargs": "?", "const": option.bare} if option.bare else {}
    action = group.add_argument(
        flag,
        type=option.kind,
        default=list(option.default) if option.many else option.default,
        metavar=option.metavar,
        help=text,
        **count,
    )
    completes(action, known=option.known)
