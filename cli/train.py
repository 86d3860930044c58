"""`mnist-train`: trains architectures of the zoo, each with its own recipe."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_export.cli.common import add_output_options, run_command
from mnist_export.cli.console import Console, emit, emit_json
from mnist_export.cli.parser import CommandParser

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset
    from mnist_export.models.recipe import Recipe
    from mnist_export.models.trained import Trained

_EXAMPLES = """\
examples:
  mnist-train lenet5                                  train on MNIST (else digits), write lenet5-mnist.keras
  mnist-train lenet5 mlp custom1 --figures figures    three models, a table and plots
  mnist-train custom2 --data fashion-mnist --epochs 5 -o fashion.keras
  mnist-train lenet5 --recipe seed --trainer loop     the custom GradientTape loop, the plain recipe
  mnist-train mlp --augment shift=2,rotation=10       augmentation on where the recipe has none
  mnist-train lenet5 --summary                        layers and their names; trains nothing

A killed or interrupted training goes on where it stopped when the same command is given again.
"""


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line; imports nothing heavy."""
    parser = CommandParser(
        prog="mnist-train",
        description="Train image classifiers of the zoo and write them as .keras with a model card.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "architectures",
        nargs="+",
        metavar="ARCH",
        help="lenet5, mlp, mlp512, dense1024, custom1 to custom5 or cnn64; or 'all'",
    )
    parser.add_argument(
        "--data",
        default="auto",
        metavar="D",
        help="auto (default), mnist, fashion-mnist, digits, an .npz, a folder of IDX files or images",
    )
    parser.add_argument(
        "--trainer", default="fit", metavar="fit|loop", help="compile and fit (default), or a loop"
    )
    parser.add_argument(
        "--recipe", metavar="NAME", help="one of the architecture's recipes (default: its first)"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="at most (default: the recipe's)")
    parser.add_argument("--batch-size", type=int, metavar="N", help="images a step (default: the recipe's)")
    parser.add_argument("--lr", type=float, metavar="X", help="learning rate (default: the recipe's)")
    parser.add_argument(
        "--augment",
        metavar="LIST",
        help="none, or any of shift=PIXELS,rotation=DEGREES,zoom=FRACTION,shear=DEGREES,elastic=PIXELS,"
        "erase=SHARE (default: the recipe's)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random (default 0)")
    parser.add_argument(
        "--resume", action=argparse.BooleanOptionalAction, default=True, help="take up a killed training"
    )
    parser.add_argument(
        "--strategy",
        default="none",
        metavar="S",
        help="none (default), mirrored or multiworker (tf.distribute)",
    )
    parser.add_argument("--gpu-memory", type=int, metavar="MIB", help="cap of each GPU's memory")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="write plots and tables into this folder")
    parser.add_argument(
        "--summary", action="store_true", help="print the layers and their names, train nothing"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE.keras",
        help="file for one architecture, folder for several (default: ARCH-DATA.keras here)",
    )
    add_output_options(parser)
    parser.add_last()
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    return run_command(build_parser(), words, _command)


def _command(arguments: argparse.Namespace, console: Console) -> int:
    from mnist_export.core.errors import InputError
    from mnist_export.data import load_dataset
    from mnist_export.models.registry import ARCHITECTURES
    from mnist_export.train.registry import TRAINERS

    names = list(dict.fromkeys(arguments.architectures))
    if names == ["all"]:
        names = list(ARCHITECTURES)
    if arguments.summary:
        _summaries(names, console)
        return 0
    for name in names:
        _recipe(name, arguments)  # names and numbers are judged before any data is loaded
    TRAINERS.get(arguments.trainer)
    output = arguments.output
    if output is not None and output.suffix and (output.suffix != ".keras" or len(names) > 1):
        raise InputError(
            f"-o {output}: expected a file that ends in .keras for one architecture, or a folder, found "
            f"{len(names)} architecture(s) and '{output.name}'."
        )
    data = load_dataset(arguments.data, notify=console.note)
    results = [_train(name, data, _target(name, data.name, output), arguments, console) for name in names]
    _show(results, data, arguments, console)
    return 0


def _show(results: list[Trained], data: Dataset, arguments: argparse.Namespace, console: Console) -> None:
    from mnist_export.train.tables import models_table

    cards = [trained.card for trained in results]
    if arguments.figures:
        from mnist_export.train.figures import write_figures

        for path in write_figures(arguments.figures, results, data):
            console.note(f"wrote {path}")
    if arguments.json:
        emit_json([card.to_json() for card in cards])
        return
    emit(models_table(cards))
    if not arguments.quiet:
        name = _target(cards[0].architecture, data.name, arguments.output)
        emit(f"\nnext: mnist-export -m {name} --data {arguments.data} --format tflite,onnx --int8")


def _recipe(name: str, arguments: argparse.Namespace) -> Recipe:
    from mnist_export.models.augmentation import Augmentation
    from mnist_export.models.registry import ARCHITECTURES

    recipe = ARCHITECTURES.get(name).recipe(arguments.recipe)
    augmentation = None if arguments.augment is None else Augmentation.parse(arguments.augment)
    return recipe.with_changes(
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.lr,
        augmentation=augmentation,
    )


def _target(name: str, data: str, output: Path | None) -> Path:
    """Where a model goes: the file given with -o, or ARCH-DATA.keras in that folder or in this one."""
    if output is not None and output.suffix:
        return output
    return (output or Path()) / f"{name}-{data}.keras"


def _train(name: str, data: Dataset, path: Path, arguments: argparse.Namespace, console: Console) -> Trained:
    from mnist_export.core.files import output_folder
    from mnist_export.core.registry import unknown_name
    from mnist_export.models.saving import save_trained
    from mnist_export.train.devices import Strategy
    from mnist_export.train.training import train_architecture

    if arguments.strategy not in set(Strategy):
        raise unknown_name("strategy", arguments.strategy, list(Strategy))
    with output_folder(path.parent):  # an unwritable folder is found before the training, not after it
        pass
    try:
        trained = train_architecture(
            name,
            data,
            recipe=_recipe(name, arguments),
            trainer=arguments.trainer,
            seed=arguments.seed,
            resume=arguments.resume,
            strategy=Strategy(arguments.strategy),
            gpu_memory_mib=arguments.gpu_memory,
            progress=console.progress,
            notify=console.note,
        )
    except KeyboardInterrupt:
        console.note("give the same command again to go on after the last finished epoch")
        raise
    save_trained(trained, path)
    console.note(f"wrote {path} and {path.stem}.card.json")
    return trained


def _summaries(names: list[str], console: Console) -> None:
    """Print the layers of architectures, or of a model's file."""
    from mnist_export.models.loading import load_model
    from mnist_export.models.registry import ARCHITECTURES
    from mnist_export.models.structure.layer_table import summary

    for name in names:
        if name in ARCHITECTURES:
            model = ARCHITECTURES.get(name).build_for((28, 28, 1), 10)
        else:
            model = load_model(name, notify=console.note).model
        emit(summary(model))


if __name__ == "__main__":
    raise SystemExit(main())
