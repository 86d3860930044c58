"""Writing a trained model as .keras with its card beside it, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from mnist_export.core.errors import InputError
from mnist_export.core.files import sha256_bytes, write_atomic
from mnist_export.core.known import remember
from mnist_export.core.scratch import scratch_folder
from mnist_export.models.foreign.archive import read_archive
from mnist_export.models.trained import Trained

CARD_SUFFIX = ".card.json"


def card_path(model_path: Path) -> Path:
    """Where the card of a model file is: ``net.keras`` has ``net.card.json`` beside it."""
    return model_path.with_name(model_path.stem + CARD_SUFFIX)


def save_trained(trained: Trained, path: Path) -> tuple[Path, Path]:
    """Write model and card.

    Args:
        trained: what to write.
        path: ends in ``.keras``; its folder is made.

    Returns:
        The two paths.

    Raises:
        InputError: another extension.
        OutputError: the folder cannot be written or the disk is full; nothing is left behind.
    """
    if path.suffix != ".keras":
        raise InputError(f"-o {path}: expected a file name that ends in .keras, found '{path.suffix}'.")
    with scratch_folder() as folder:
        temporary = folder / "model.keras"
        trained.model.save(temporary)
        content = temporary.read_bytes()
    card = card_path(path)
    write_atomic({path: content, card: trained.card.to_bytes()})
    remember([sha256_bytes(read_archive(content, path).weights)])  # its weights need no trial when read again
    return path, card
