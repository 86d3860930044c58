"""Parity as equality: every logit of every image, integer by integer, over every implementation there is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError, MnistExportError
from mnist_export.core.images import Images, first_images
from mnist_export.core.kinds import Verdict
from mnist_export.parity.certificate.implementations import IMPLEMENTATIONS, Implementation

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One implementation against the first.

    Attributes:
        name: of the implementation, such as ``litert reference``.
        images: how many were compared.
        values: how many logits were compared.
        different: how many of them differ.
        largest: largest difference in steps.
        first_image: the first image with a difference, or None.
        first_layer: the first layer that differs on that image, where the implementation shows its layers.
        seconds: time for the images.
        missing: why the implementation could not be run here, or ``""``.
    """

    name: str
    images: int = 0
    values: int = 0
    different: int = 0
    largest: int = 0
    first_image: int | None = None
    first_layer: str | None = None
    seconds: float = 0.0
    missing: str = ""

    @property
    def text(self) -> str:
        """The finding in a sentence."""
        if self.missing:
            return f"{self.name}: not run ({self.missing})"
        if not self.different:
            return f"{self.name}: identical, {self.values:,} logits of {self.images:,} images"
        layer = f", first at layer '{self.first_layer}'" if self.first_layer else ""
        return (
            f"{self.name}: {self.different:,} of {self.values:,} logits differ, by up to {self.largest}; "
            f"first at image {self.first_image}{layer}"
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "name": self.name, "images": self.images, "values": self.values, "different": self.different,
            "largest_steps": self.largest, "first_image": self.first_image, "first_layer": self.first_layer,
            "seconds": round(self.seconds, 3), "missing": self.missing,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Equality:
    """All implementations of one network.

    Attributes:
        reference: the implementation that the others are compared with.
        logits: its integers, int64 of shape (n, classes), as int8 codes.
        compared: one entry for each other implementation.
    """

    reference: str
    logits: Integers
    compared: tuple[Compared, ...]

    @property
    def verdict(self) -> Verdict:
        """Pass where everything that ran is identical, and something ran."""
        ran = [c for c in self.compared if not c.missing]
        return Verdict.PASS if ran and not any(c.different for c in ran) else Verdict.FAIL

    @property
    def text(self) -> str:
        """``identical``, or the first implementation that differs and where."""
        failed = next((c for c in self.compared if c.different), None)
        if failed is not None:
            return failed.text
        ran = sum(1 for c in self.compared if not c.missing)
        if not ran:
            return "nothing to compare with could be run"
        return f"identical: {self.reference} and {ran} other implementations, {self.logits.size:,} logits"

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "schema_version": 1,
            "verdict": str(self.verdict),
            "text": self.text,
            "reference": self.reference,
            "images": len(self.logits),
            "compared": [c.to_json() for c in self.compared],
        }


def equality(
    files: Mapping[str, bytes],
    images: Images,
    *,
    names: Sequence[str] | None = None,
    limits: Mapping[str, int] | None = None,
    notify: Callable[[str], None] | None = None,
) -> Equality:
    """Run the same network everywhere and compare its integers.

    Args:
        files: extension to content: ``.tflite``, ``.onnx``, and ``.c`` with ``.h``.
        images: uint8 of shape (n, H, W, C).
        names: implementations to run, of `implementations.IMPLEMENTATIONS`, the reference first; None takes
            all whose file is there.
        limits: implementation to how many of the images it gets, for slow ones.
        notify: told each finding.

    Returns:
        What was found; an implementation that this machine lacks is listed with the reason.

    Raises:
        InputError: no images, an unknown name, or the first implementation cannot run.
    """
    if not len(images):
        raise InputError("equality: expected at least one image, found none.")
    chosen = list(names) if names is not None else list(IMPLEMENTATIONS)
    chosen = [n for n in chosen if names is not None or IMPLEMENTATIONS[n].needs <= set(files)]
    unknown = [n for n in chosen if n not in IMPLEMENTATIONS]
    if unknown or not chosen:
        raise InputError(
            f"equality: expected implementations of {', '.join(IMPLEMENTATIONS)}, found "
            f"{', '.join(unknown) or 'none'}."
        )
    first, *others = chosen
    reference = np.asarray(IMPLEMENTATIONS[first].run(files, images), np.int64)
    found = []
    for name in others:
        entry = _one(
            IMPLEMENTATIONS[name],
            files,
            first_images(images, (limits or {}).get(name, len(images))),
            reference,
        )
        found.append(entry)
        if notify is not None:
            notify(entry.text)
    return Equality(reference=first, logits=reference, compared=tuple(found))


def _one(
    implementation: Implementation,
    files: Mapping[str, bytes],
    images: Images,
    reference: Integers,
) -> Compared:
    started = time.perf_counter()
    try:
        given = np.asarray(implementation.run(files, images), np.int64)
    except (MnistExportError, ImportError, OSError) as error:
        return Compared(name=implementation.name, missing=" ".join(str(error).split())[:200])
    seconds = time.perf_counter() - started
    expected = reference[: len(images)]
    if given.shape != expected.shape:
        raise InputError(
            f"{implementation.name}: expected logits of shape {expected.shape}, found {given.shape}."
        )
    difference = np.abs(given - expected)
    rows = np.flatnonzero(difference.any(axis=1))
    layer = None
    if rows.size:
        layer = first_layer(implementation, files, images[rows[0] : rows[0] + 1])
    return Compared(
        name=implementation.name,
        images=len(images),
        values=given.size,
        different=int(np.count_nonzero(difference)),
        largest=int(difference.max(initial=0)),
        first_image=int(rows[0]) if rows.size else None,
        first_layer=layer,
        seconds=seconds,
    )


def first_layer(
    implementation: Implementation, files: Mapping[str, bytes], image: npt.NDArray[np.uint8]
) -> str | None:
    """The first layer at which an implementation leaves LiteRT's default kernels, by the layers' names.

    Args:
        implementation: the one that differs.
        files: as `equality` takes them.
        image: the image on which it differs, uint8 of shape (1, H, W, C).

    Returns:
        The layer's name; None where the implementation does not show its layers.
    """
    if implementation.layers is None or ".tflite" not in files:
        return None
    expected = IMPLEMENTATIONS["litert xnnpack"].layers
    if expected is None:
        return None
    own = implementation.layers(files, image)
    for name, values in expected(files, image).items():
        if (
            name in own
            and own[name].size == values.size
            and not np.array_equal(np.sort(own[name].ravel()), np.sort(values.ravel()))
        ):
            return name
    return None
