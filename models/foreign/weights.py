"""Files that hold weights alone: put into a model whose layers are given beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mnist_export.core.errors import InputError
from mnist_export.data.limits import bad_file as refuse
from mnist_export.data.limits import regular_file_size, shown
from mnist_export.models.foreign import hdf5
from mnist_export.models.foreign.beside import Beside
from mnist_export.models.foreign.building import Built, Ingredients, build
from mnist_export.models.foreign.configuration import check_configuration, parse_configuration
from mnist_export.models.foreign.custom_code import custom_code
from mnist_export.models.foreign.half_precision import NOTE, to_float32
from mnist_export.models.foreign.hdf5_trial import try_hdf5
from mnist_export.models.foreign.limits import MAX_CONFIG_BYTES

KERAS_3, KERAS_2 = ".weights.h5", ".h5"
"""Names that Keras tells its two layouts of weights by."""

_KERAS_3_GROUPS = frozenset({"layers", "_layer_checkpoint_dependencies"})


def open_weights(path: Path, content: bytes, beside: Beside, named: str | None = None) -> Built:
    """Build the model of a file of weights and the architecture that is given with it.

    Args:
        path: the weights, for messages.
        content: the whole file.
        beside: `Beside.architecture` names the JSON of ``model.to_json()``.
        named: that JSON itself, where it is that of a known architecture's name.

    Raises:
        InputError: another kind of file, an architecture that is refused, or weights that do not fit it.
    """
    if not content.startswith(hdf5.MAGIC):
        raise refuse(
            path,
            "a file of weights (.weights.h5 or .h5) beside `architecture`",
            "another kind of file",
            "Leave `architecture` out where the model holds its own layers.",
        )
    try_hdf5(content, path)
    stored = hdf5.inspect_hdf5(content, path)
    if "model_config" in stored.attributes:
        raise refuse(
            path, "weights alone beside `architecture`", "a whole model", "Leave `architecture` out."
        )
    given = str(beside.architecture)
    config = parse_configuration(named, given) if named is not None else _configuration(given)
    half = to_float32(config)
    code = custom_code(beside)
    check_configuration(config, given, code)
    built = build(
        Ingredients(
            where=path,
            config=config,
            content=content,
            suffix=KERAS_3 if _KERAS_3_GROUPS & set(stored.groups) else KERAS_2,
            stored_elements=stored.elements,
            code=code,
            weights_only=True,
        )
    )
    note = f"its layers are those of {shown(beside.architecture)}"
    return Built(
        model=built.model,
        framework=built.framework,
        notes=(*built.notes, note, *([NOTE] if half else [])),
    )


def _configuration(architecture: str) -> dict[str, Any]:
    file = Path(architecture).expanduser()
    if not file.is_file():
        raise InputError(
            f'`architecture="{shown(architecture)}"`: expected a JSON file (model.to_json()) or an '
            "architecture's name, found neither. Check the path."
        )
    if (size := regular_file_size(file)) > MAX_CONFIG_BYTES:
        raise refuse(
            file, f"at most {MAX_CONFIG_BYTES:,} bytes of JSON", f"{size:,}", "Is it the right file?"
        )
    try:
        return parse_configuration(file.read_bytes(), file)
    except OSError as error:
        raise refuse(file, "a readable file", error.strerror or str(error), "Check it.") from error
