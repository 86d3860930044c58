"""What our files say about themselves: JSON under the key ``mnist_export`` in .tflite and .onnx."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mnist_export.core.errors import InputError
from mnist_export.core.pixel_rules import ChannelRule
from mnist_export.core.pixels import InputRange
from mnist_export.models.thresholds import parse_threshold

METADATA_KEY = "mnist_export"
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """The metadata of one of our artifacts.

    Attributes:
        name: the model's name.
        class_names: one name a class, in output order.
        pixel_rule: one sentence on how pixels become inputs.
        input_range: what pixels 0 and 255 become in real units.
        preprocessing: the pixel rule of the network's original, where the file computes it itself; its
            `input_range` is then the file's own.
        source_sha256: hash of the model it was made from.
        precision: ``float32``, ``int8`` and so on.
        variant: such as ``qat``; empty for none.
        tool_version: version of the exporter.
        head: what the outputs are: ``classes``, ``labels`` or ``values``; empty in files of older versions.
        threshold: of sigmoids, see `models.thresholds`; empty where there are none.
    """

    name: str
    class_names: tuple[str, ...]
    pixel_rule: str
    input_range: InputRange
    source_sha256: str
    precision: str
    variant: str
    tool_version: str
    preprocessing: ChannelRule | None = None
    head: str = ""
    threshold: tuple[float, ...] = ()

    @classmethod
    def parse(cls, text: bytes, *, label: str) -> Metadata:
        """Read the JSON form, schema version 1.

        Args:
            text: the JSON as stored.
            label: the file's name for messages.

        Raises:
            InputError: it is not such JSON.
        """
        if len(text) > _MAX_BYTES:
            raise InputError(f"{label}: expected at most {_MAX_BYTES} bytes of metadata, found {len(text)}.")
        try:
            fields: Any = json.loads(text)
            if not isinstance(fields, dict) or fields.get("schema_version") != 1:
                raise ValueError("no schema_version 1")
            lo, hi = fields["input_range"]
            return cls(
                name=str(fields["name"]),
                class_names=tuple(str(name) for name in fields["class_names"]),
                pixel_rule=str(fields["pixel_rule"]),
                input_range=InputRange(lo=float(lo), hi=float(hi)),
                source_sha256=str(fields.get("source_sha256", "")),
                precision=str(fields["precision"]),
                variant=str(fields.get("variant") or ""),
                tool_version=str(fields.get("tool_version", "")),
                preprocessing=ChannelRule.from_json(fields["preprocessing"])
                if fields.get("preprocessing") is not None
                else None,
                head=str(fields.get("head", "")),
                threshold=parse_threshold(cuts) if (cuts := fields.get("threshold")) else (),
            )
        except (InputError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise InputError(
                f"{label}: the metadata '{METADATA_KEY}' cannot be read ({type(error).__name__}: {error}). "
                "The file is damaged or from a newer version; export it again."
            ) from error
