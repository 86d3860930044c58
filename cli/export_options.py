"""The options of ``mnist-export`` about quantization beyond the plain scheme."""

from __future__ import annotations

from typing import Any

from mnist_export.pipeline.jobs.options import DEFAULT_DISTILLATION, DEFAULT_EPOCHS


def add_model_code_options(parser: Any) -> None:
    """Add what a user gives beside a model file."""
    parser.add_argument(
        "--custom", metavar="FILE.py", help="the code of the model's own layers (with --trust, which runs it)"
    )
    parser.add_argument(
        "--architecture", metavar="A",
        help="of a file of weights (.weights.h5): the JSON of model.to_json(), or an architecture's name",
    )  # fmt: skip


def add_quantize_options(group: Any) -> None:
    """Add the options to an argument group of ``mnist-export``."""
    group.add_argument(
        "--exact", action="store_true",
        help="int8 whose integers are the same on every runtime, with a certificate (with --qat: trained on)",
    )  # fmt: skip
    group.add_argument(
        "--qat", nargs="?", type=int, const=DEFAULT_EPOCHS, default=None, metavar="EPOCHS",
        help=f"quantization-aware training, then int8 (default {DEFAULT_EPOCHS} epochs)",
    )  # fmt: skip
    group.add_argument(
        "--sparsity", type=float, metavar="S", help="prune this share of weights, such as 0.8, with training"
    )
    group.add_argument(
        "--clusters", type=int, metavar="N", help="share weights in N distinct values a layer, with training"
    )
    group.add_argument(
        "--tune-epochs", type=int, default=None, metavar="N",
        help=f"epochs of each step of --sparsity and --clusters (default {DEFAULT_EPOCHS})",
    )  # fmt: skip
    group.add_argument(
        "--distill", type=float, default=None, metavar="SHARE",
        help="how much of this training follows the original's answers, the rest the labels "
        f"(0 to 1, default {DEFAULT_DISTILLATION:g})",
    )  # fmt: skip
    group.add_argument(
        "--equalize", action="store_true", help="share out weight ranges between neighbouring layers"
    )
    group.add_argument(
        "--bias-correction", action="store_true", help="take each channel's mean error out of its bias"
    )
    group.add_argument("--adaround", action="store_true", help="learn each weight's rounding direction")
    group.add_argument(
        "--debug-layers", action="store_true", help="each layer's error, ranked, and what to do about it"
    )
    group.add_argument(
        "--auto", action="store_true",
        help="search better ranges, then the fewest layers in float, that keep --max-drop",
    )  # fmt: skip
