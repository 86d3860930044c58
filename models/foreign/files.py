"""Opens .keras and .h5 files: read whole, told apart by content, checked, built."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from mnist_export.data.limits import bad_file as refuse
from mnist_export.data.limits import regular_file_size
from mnist_export.models.foreign import hdf5
from mnist_export.models.foreign.archive import CONFIG, METADATA, WEIGHTS, read_archive
from mnist_export.models.foreign.beside import NOTHING, Beside
from mnist_export.models.foreign.building import Built, Ingredients, build
from mnist_export.models.foreign.configuration import check_configuration, parse_configuration
from mnist_export.models.foreign.custom_code import custom_code
from mnist_export.models.foreign.half_precision import NOTE, to_float32
from mnist_export.models.foreign.hdf5_trial import try_hdf5
from mnist_export.models.foreign.limits import MAX_FILE_BYTES, quoted
from mnist_export.models.foreign.pixel_inputs import NOTE as RAW_PIXELS
from mnist_export.models.foreign.pixel_inputs import to_float_input
from mnist_export.models.foreign.restoring import restore_modules, with_configuration
from mnist_export.models.foreign.wrappers import without_wrappers
from mnist_export.models.structure.engine import package_of

_ZIP = b"PK\x03\x04"


def read_file(path: Path) -> bytes:
    """Read a model file whole, so that what is checked is what is used.

    Raises:
        InputError: it is missing, no regular file, empty, or larger than 1 GiB.
    """
    size = regular_file_size(path)
    if size == 0:
        raise refuse(path, "a Keras model", "an empty file", "Copy it again from where it came.")
    if size > MAX_FILE_BYTES:
        raise refuse(
            path,
            f"a model of at most {MAX_FILE_BYTES >> 20} MiB",
            f"{size:,} bytes",
            "Such a model is far beyond an edge device.",
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise refuse(path, "a readable file", str(error.strerror), "Check its permissions.") from error


def open_file(path: Path, content: bytes, beside: Beside = NOTHING) -> tuple[Built, dict[str, Any]]:
    """Build the model of a .keras or .h5 file.

    Args:
        path: for messages.
        content: the whole file.
        beside: the code of its own layers, and the architecture of a file of weights.

    Returns:
        The model, and how it was compiled as the file says (plain JSON, maybe empty).

    Raises:
        InputError: the content is neither kind, or is refused; the message says why.
    """
    if content.startswith(_ZIP):
        return _open_archive(path, content, beside)
    if content.startswith(hdf5.MAGIC):
        return _open_hdf5(path, content, beside)
    raise refuse(
        path,
        "a Keras model (.keras, .h5 or a SavedModel folder)",
        "content that is neither a .keras archive nor HDF5",
        "Save it with model.save('net.keras').",
    )


def _open_archive(path: Path, content: bytes, beside: Beside) -> tuple[Built, dict[str, Any]]:
    archive = read_archive(content, path)
    config = parse_configuration(archive.config, path)
    compiled = config.get("compile_config")
    half, raw = to_float32(config), to_float_input(config)
    code = custom_code(beside)
    check_configuration(config, path, code)
    try_hdf5(archive.weights, path)
    stored = hdf5.inspect_hdf5(archive.weights, path)
    if not stored.elements:
        raise refuse(path, "weights", f"none in {WEIGHTS}", "Save the whole model again.")
    clean = io.BytesIO()
    with zipfile.ZipFile(clean, "w") as target:
        target.writestr(METADATA, archive.metadata or b'{"keras_version": "3.0.0"}')
        target.writestr(CONFIG, json.dumps(config))
        target.writestr(WEIGHTS, archive.weights)
    built = build(
        Ingredients(
            where=path,
            config=config,
            content=clean.getvalue(),
            suffix=".keras",
            stored_elements=stored.elements,
            code=code,
        )
    )
    return _noted(built, half, raw), compiled if isinstance(compiled, dict) else {}


def _open_hdf5(path: Path, content: bytes, beside: Beside) -> tuple[Built, dict[str, Any]]:
    try_hdf5(content, path)
    stored = hdf5.inspect_hdf5(content, path)
    if "model_config" not in stored.attributes:
        weights_only = "layer_names" in stored.attributes or stored.datasets
        found = "weights only" if weights_only else f"other data ({quoted(', '.join(stored.groups))})"
        raise refuse(
            path,
            "a whole model with its layers",
            found,
            "Save the whole model with model.save('net.keras'), or give its layers with "
            "`architecture`: FILE.json (model.to_json()) or an architecture's name.",
        )
    if "model_weights" not in stored.groups:
        raise refuse(path, "the group model_weights", "none", "Save the whole model again.")
    config = parse_configuration(stored.attributes["model_config"], path)
    restored = stored.attributes.get("keras_version", "").startswith("3.") and restore_modules(config)
    half, raw = to_float32(config), to_float_input(config)
    code = custom_code(beside)
    check_configuration(config, path, code)
    if restored or half or raw:
        content = with_configuration(content, config)
    built = build(
        Ingredients(
            where=path,
            config=config,
            content=content,
            suffix=".h5",
            stored_elements=stored.elements,
            code=code,
        )
    )
    return _noted(built, half, raw), _compiled(stored.attributes.get("training_config", ""))


def _noted(built: Built, half: bool, raw: bool) -> Built:
    model, taken = without_wrappers(built.model, package_of(built.framework))
    said = [*([NOTE] if half else []), *([RAW_PIXELS] if raw else [])]
    return replace(built, model=model, notes=(*built.notes, *said, *taken))


def _compiled(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
