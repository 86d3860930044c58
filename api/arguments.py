"""What the calls take, in the forms that a job takes."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mnist_export.errors import InputError, one_call

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mnist_export.core.pixel_rules import PixelRule
    from mnist_export.data.dataset import Dataset
    from mnist_export.models.foreign.beside import Beside
    from mnist_export.parity.opening import Opening
    from mnist_export.pipeline.jobs.progress import Progress

    Data: TypeAlias = str | Path | Dataset | Sequence[npt.NDArray[np.generic]]

Range: TypeAlias = "str | tuple[float, float]"
Numbers: TypeAlias = "str | float | Sequence[float] | None"


def quieted(progress: bool) -> contextlib.AbstractContextManager[None]:
    """A call without output unless progress is wanted; errors become `InputError`."""
    return one_call(quiet=not progress)


def progress_of(wanted: bool) -> Progress:
    """What a job tells its progress to: stderr, or nobody."""
    from mnist_export.pipeline.jobs.progress import SILENT, Callback

    return Callback(notify=lambda text: print(text, file=sys.stderr)) if wanted else SILENT  # noqa: T201


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone when the call ends."""
    with tempfile.TemporaryDirectory(prefix="mnist-export-") as folder:
        yield Path(folder)


def model_path(model: Any, folder: Path) -> str:
    """A model's path or name; a model in memory is saved by Keras first."""
    if isinstance(model, str | Path):
        return str(model)
    if not callable(getattr(model, "save", None)):
        raise InputError(
            f"model: expected a name, a path or a Keras model, found {type(model).__name__}. Pass the model "
            "itself or the path of its .keras file."
        )
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in str(getattr(model, "name", "model")))
    path = folder / f"{name[:40] or 'model'}.keras"
    model.save(path)
    return str(path)


def data_of(data: Any, seed: int, head: str = "classes") -> Any:
    """Data as a job takes it: a name, or a data set in memory."""
    if isinstance(data, Path):
        return str(data)
    if isinstance(data, list | tuple):
        from mnist_export.data.in_memory import dataset_of_arrays

        return dataset_of_arrays(data, seed=seed, notify=lambda _text: None, head=head)
    from mnist_export.data.dataset import Dataset

    if not isinstance(data, str | Dataset):
        raise InputError(
            f"`data`: expected a name, a path, (x_train, y_train, x_test, y_test) or a Dataset, found "
            f"{type(data).__name__}."
        )
    return data


def names_of(value: str | Sequence[str]) -> tuple[str, ...]:
    """One name or several as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value)


def words_of(value: str | Sequence[str]) -> str:
    """Several names as one text, with commas."""
    return value if isinstance(value, str) else ",".join(value)


def range_text(value: Range) -> str:
    """A range of pixels as the command line writes it."""
    return value if isinstance(value, str) else ",".join(f"{number:g}" for number in value)


def pixels_of(
    input_range: Range | None, mean: Numbers, std: Numbers, channels: str | None, preprocess: str | None
) -> Any:
    """The pixel rule that the keywords state, checked; None where they state none."""
    from mnist_export.core.pixel_options import stated_rule

    text = None if input_range is None else range_text(input_range)
    return stated_rule(text, mean, std, channels, preprocess)


def opening_of(
    *,
    head: str,
    threshold: Any,
    max_error: Any,
    kernels: str,
    threads: int,
    pixels: PixelRule | None,
    trust: bool,
    custom: str | Path | None,
    architecture: str | None,
) -> Opening:
    """How models are opened, from what a call was given."""
    from mnist_export.models.thresholds import parse_threshold
    from mnist_export.parity.choosing import stated_head, stated_limit
    from mnist_export.parity.opening import Opening

    return Opening(
        threads=threads,
        kernels=(kernels, kernels),
        input_range=pixels,
        trust=trust,
        beside=beside_of(trust, custom, architecture),
        head=stated_head(head),
        threshold=None if threshold is None else parse_threshold(threshold),
        max_error=stated_limit(max_error),
    )


def beside_of(trust: bool, custom: str | Path | None, architecture: str | None) -> Beside:
    """What is given beside a model file."""
    from mnist_export.models.foreign.beside import Beside

    return Beside(trust=trust, custom=path_of(custom), architecture=architecture)


def path_of(value: str | Path | None) -> Path | None:
    """A path, or None."""
    return None if value is None else Path(value)
