"""From what a user writes after ``--data`` to a `Dataset`."""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import Path

from mnist_export.core.errors import InputError, OutputError
from mnist_export.data.dataset import Dataset
from mnist_export.data.limits import bad_file, shown
from mnist_export.data.own_code import code_of, dataset_of_code
from mnist_export.data.picture_options import PictureOptions
from mnist_export.data.registry import DATASETS, READERS
from mnist_export.data.request import Notify, Request, UnavailableError, to_stderr


def load_dataset(
    spec: str = "auto",
    *,
    download: bool = True,
    seed: int = 0,
    notify: Notify = to_stderr,
    pictures: PictureOptions | None = None,
    trust: bool = False,
    head: str = "classes",
) -> Dataset:
    """Load a data set by name or path.

    Args:
        spec: ``"auto"`` (MNIST where it can be had at once, else the embedded digits, with a notice), a
            name from the registry, or a path: an .npz with x_train, y_train, x_test, y_test; a folder
            with the four IDX files; a folder of images by class; a .csv or .jsonl of path and label; or
            ``FILE.py:function``, which is called and gives the data.
        download: whether MNIST and its like may be downloaded when they are not on this machine.
        seed: chooses the validation part (and test where the data has none); 0 or more.
        notify: called with one sentence for whatever the user should know.
        pictures: channels and size that pictures in files are read in; None keeps the pictures' own.
        trust: whether a user's code may run, and files outside of a list's folder may be read.
        head: what y may be besides classes: numbers or sets of labels; see `targets.are_targets`.

    Raises:
        InputError: no such name or path, or unsound data.
    """
    request = Request(
        download=download,
        seed=seed,
        notify=notify,
        pictures=pictures or PictureOptions(),
        trust=trust,
        head=head,
    )
    if spec == "auto":
        return _auto(request)
    if spec in DATASETS:
        return DATASETS.get(spec)(request)
    if (code := code_of(spec)) is not None:
        return dataset_of_code(code, request)
    return _from_path(spec, request)


def _auto(request: Request) -> Dataset:
    try:
        return DATASETS.get("mnist")(request)
    except (UnavailableError, OutputError) as error:
        message = (
            "MNIST is not on this machine and could not be downloaded at once: using 'digits' instead, "
            "1,797 real handwritten digits that come with this tool."
            if request.download
            else "MNIST is not on this machine: using 'digits' instead, 1,797 real handwritten digits "
            "that come with this tool."
        )
        request.notify(f"{message} ({error})")
    digits = DATASETS.get("digits")(request)
    provenance = dataclasses.replace(digits.provenance, notes=(*digits.provenance.notes, message))
    return dataclasses.replace(digits, provenance=provenance)


def _from_path(spec: str, request: Request) -> Dataset:
    path = Path(spec).expanduser()
    try:
        exists = bool(spec) and path.exists()
    except (OSError, ValueError):  # a name too long, or with a null byte
        exists = False
    if not exists:
        raise _no_such(spec, path)
    for name in READERS:
        reader = READERS.get(name)
        if reader.accepts(path):
            return reader(path, request)
    raise bad_file(
        path,
        "an .npz, .csv or .jsonl file, a folder with the four IDX files, a folder of images by class, or "
        "FILE.py:function",
        "another kind of file",
        "Store the data as x_train, y_train, x_test, y_test with numpy.savez.",
    )


def _no_such(spec: str, path: Path) -> InputError:
    names = ["auto", *DATASETS]
    is_path = len(path.parts) > 1 or spec.endswith(".npz")
    known = _siblings(path) if is_path else names
    nearest = difflib.get_close_matches(path.name if is_path else spec.lower(), known, n=1, cutoff=0.5)
    hint = ""
    if nearest:
        hint = f" Did you mean '{shown(path.parent / nearest[0] if is_path else nearest[0])}'?"
    return InputError(
        f"data '{shown(spec)}': expected {', '.join(names)} or a path that exists, found neither.{hint}"
        + ("" if hint else " Check the name.")
    )


def _siblings(path: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in path.parent.iterdir())
    except (OSError, ValueError):
        return []
