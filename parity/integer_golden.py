"""A golden of integers: images and the output integers that a file gave for them, with nothing else needed.

An .npz of plain arrays: ``meta`` (JSON as uint8), ``images`` uint8 (n, H, W, C), ``outputs`` of the file's
output type (n, classes), ``places`` int64 (n,), the images' places in the test part, -1 for one that was
drawn. Nothing is pickled.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError
from mnist_export.core.files import sha256_bytes
from mnist_export.core.pixel_rules import PixelRule, rule_from_json
from mnist_export.runtime.runners.members import member_array, read_members, write_members

SCHEMA_VERSION: Final = 1
KIND: Final = "integers"
TYPES: Final = ("int8", "uint8", "int16")
MOST_IMAGES: Final = 65_536
_SHA256: Final = 64


@dataclass(frozen=True, kw_only=True)
class IntegersMeta:
    """What a golden of integers says about its recording.

    Attributes:
        model: the file's name.
        format: ``tflite``, ``onnx`` or ``c``.
        sha256: of the file; for information, another file may give the same integers.
        data: the data set's name, as ``--data`` takes it.
        chosen: how the images were chosen, in a few words.
        images: how many.
        image_shape: (H, W, C).
        images_sha256: of the raw pixels.
        classes: width of the output.
        output_type: ``int8``, ``uint8`` or ``int16``.
        scale: of the output tensor, real units per step.
        zero_point: of the output tensor.
        pixels: what pixels became, as `rule_to_json` writes it.
        runtime: what ran the file.
        kernels: of the runtime.
    """

    model: str
    format: str
    sha256: str
    data: str
    chosen: str
    images: int
    image_shape: tuple[int, int, int]
    images_sha256: str
    classes: int
    output_type: str
    scale: float
    zero_point: int
    pixels: Any
    runtime: str
    kernels: str = "default"

    def __post_init__(self) -> None:
        """Check each field.

        Raises:
            ValueError: one of another type, or out of its range.
        """
        for name in ("model", "format", "sha256", "data", "chosen", "images_sha256", "runtime", "kernels"):
            if not isinstance(getattr(self, name), str) or len(getattr(self, name)) > 4096:
                raise ValueError(f"{name} is no short text")
        if len(self.sha256) != _SHA256 or len(self.images_sha256) != _SHA256:
            raise ValueError("a hash is not of SHA-256")
        numbers = (self.images, self.classes, self.zero_point, *self.image_shape)
        if not all(type(number) is int for number in numbers):
            raise ValueError("a count is no whole number")
        if not 1 <= self.images <= MOST_IMAGES or self.classes < 2:
            raise ValueError(f"{self.images} images, {self.classes} classes")
        if len(self.image_shape) != 3 or min(self.image_shape) < 1:
            raise ValueError(f"shape {self.image_shape}")
        if self.output_type not in TYPES:
            raise ValueError(f"outputs of type {self.output_type}")
        if not math.isfinite(self.scale) or self.scale <= 0:
            raise ValueError(f"a scale of {self.scale}")
        if not np.iinfo(self.output_type).min <= self.zero_point <= np.iinfo(self.output_type).max:
            raise ValueError(f"a zero point of {self.zero_point}")
        rule_from_json(self.pixels)

    @property
    def rule(self) -> PixelRule:
        """What pixels became."""
        return rule_from_json(self.pixels)

    @property
    def quant(self) -> QuantParams:
        """The output tensor's scale and zero point."""
        return QuantParams.per_tensor(self.scale, self.zero_point)

    def to_json(self) -> dict[str, Any]:
        """The JSON form, with its schema version."""
        return {"schema_version": SCHEMA_VERSION, "kind": KIND, **asdict(self)}

    @classmethod
    def from_json(cls, fields: Any, *, label: str) -> IntegersMeta:
        """Read the JSON form.

        Raises:
            InputError: another kind of file or schema version, or fields that are missing or damaged.
        """
        if not isinstance(fields, dict) or fields.get("kind") != KIND:
            raise InputError(
                f"{label}: expected a golden of integers, found other data. Record one: mnist-parity record "
                "FILE.tflite --integers -o GOLDEN.npz"
            )
        if fields.get("schema_version") != SCHEMA_VERSION:
            raise InputError(
                f"{label}: expected schema version {SCHEMA_VERSION} of a golden of integers, found "
                f"{str(fields.get('schema_version'))[:40]}. Record it again with this version."
            )
        known = {k: v for k, v in fields.items() if k in cls.__dataclass_fields__}
        try:
            known["image_shape"] = tuple(known["image_shape"])
            return cls(**known)
        except (InputError, KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            text = str(error)[:200]
            raise InputError(
                f"{label}: the golden's description is damaged ({text}). Record it again."
            ) from error


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerGolden:
    """Images, and a file's own integers for them.

    Attributes:
        meta: how they were recorded.
        images: uint8 (n, H, W, C), raw pixels.
        outputs: (n, classes) in the file's output type.
        places: int64 (n,), each image's place in the test part, -1 for one that was drawn.
    """

    meta: IntegersMeta
    images: npt.NDArray[np.uint8]
    outputs: npt.NDArray[Any]
    places: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check that arrays and description agree.

        Raises:
            InputError: they do not.
        """
        meta = self.meta
        expected = {
            "images": ((meta.images, *meta.image_shape), "uint8"),
            "outputs": ((meta.images, meta.classes), meta.output_type),
            "places": ((meta.images,), "int64"),
        }
        for name, (shape, dtype) in expected.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != np.dtype(dtype):
                raise InputError(
                    f"golden of '{meta.model}': expected '{name}' as {dtype} of shape {shape}, found "
                    f"{array.dtype} of shape {array.shape}. Record it again."
                )
        if pixels_sha256(self.images) != meta.images_sha256:
            raise InputError(f"golden of '{meta.model}': its images were changed. Record it again.")

    def centred(self) -> npt.NDArray[np.int64]:
        """The outputs less their zero point: the same for int8 and uint8 files of one network."""
        return np.asarray(self.outputs, np.int64) - self.meta.zero_point

    def save(self, path: Path) -> None:
        """Write the .npz, whole or not at all; the same content gives the same bytes."""
        write_members(
            path,
            {
                "meta": np.frombuffer(json.dumps(self.meta.to_json(), sort_keys=True).encode(), np.uint8),
                "images": self.images,
                "outputs": self.outputs,
                "places": self.places,
            },
        )


def pixels_sha256(images: npt.NDArray[np.uint8]) -> str:
    """Hex SHA-256 of raw pixels, row by row."""
    return sha256_bytes(np.ascontiguousarray(images).tobytes())


def load_integers(path: str | Path) -> IntegerGolden:
    """Read a golden of integers.

    Raises:
        InputError: truncated, another kind of file, pickled, a bomb, or its parts disagree.
    """
    path = Path(path)
    return _golden(read_members(path), path.name)


def is_integers(path: str | Path) -> bool:
    """Whether a file says that it is a golden of integers; False for what cannot be read as an archive."""
    path = Path(path)
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    try:
        fields = _description(read_members(path), path.name)
    except InputError:
        return False
    return isinstance(fields, dict) and fields.get("kind") == KIND


def _description(members: dict[str, bytes], label: str) -> Any:
    try:
        return json.loads(member_array(members, "meta", np.uint8, label).tobytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{label}: the golden's description is not JSON. Record it again.") from error


def _golden(members: dict[str, bytes], label: str) -> IntegerGolden:
    meta = IntegersMeta.from_json(_description(members, label), label=label)
    return IntegerGolden(
        meta=meta,
        images=member_array(members, "images", np.uint8, label),
        outputs=member_array(members, "outputs", meta.output_type, label),
        places=member_array(members, "places", np.int64, label),
    )
