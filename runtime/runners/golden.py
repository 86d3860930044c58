"""Golden files: the original's answers, recorded once on the machine that has it, replayed anywhere.

An .npz of plain arrays: ``meta`` (JSON as uint8), ``logits`` float32 (n, classes), ``predictions`` int64
(n,), and ``layer_NNN`` float32 activations where they were asked for. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.files import sha256_bytes
from mnist_export.core.images import Images
from mnist_export.core.pixel_rules import ChannelRule, PixelRule
from mnist_export.core.pixels import InputRange
from mnist_export.models.thresholds import parse_threshold
from mnist_export.runtime.runners.members import member_array, read_members, write_members
from mnist_export.runtime.runners.model_file import ModelFile
from mnist_export.runtime.runners.runner import Runner, TensorInfo

if TYPE_CHECKING:
    from mnist_export.data.dataset import Split

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True)
class GoldenMeta:
    """What a golden file says about its recording.

    Attributes:
        model: the original's name.
        model_sha256: hash of its file; empty where it had none.
        data: the data set's name, as ``--data`` takes it.
        images: how many.
        image_shape: (H, W, C).
        images_sha256: of the raw pixels, as `Split.images_sha256` computes it.
        labels_sha256: of the labels as little-endian int64.
        classes: width of the output.
        class_names: one a class.
        input_range: what pixels 0 and 255 became, [lo, hi].
        preprocessing: the rule by channel that pixels became values by, as JSON; None for a plain range.
        runtime: ``keras`` and so on.
        backend: Keras's backend, empty for other runtimes.
        device: what it ran on.
        driver: the GPU's driver, empty without one.
        tf32: whether TF32 was allowed; None where the question does not arise.
        environment: the machine and versions, as `environment.describe` gives them.
        latency_us: percentiles at batch 1 by name; empty where not measured.
        layers: names of the recorded layer summaries, in order.
        parameters: of the model, 0 where unknown.
        macs: multiply-accumulates of one inference, 0 where unknown.
        head: what the outputs are: ``classes``, ``labels`` or ``values``.
        threshold: of sigmoids, empty where there are none.
        targets_sha256: of y that are numbers or sets of labels, as little-endian float64; empty for classes.
    """

    model: str
    model_sha256: str
    data: str
    images: int
    image_shape: tuple[int, int, int]
    images_sha256: str
    labels_sha256: str
    classes: int
    class_names: tuple[str, ...]
    input_range: tuple[float, float]
    runtime: str
    backend: str = ""
    device: str = "CPU"
    driver: str = ""
    tf32: bool | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    latency_us: Mapping[str, float] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    parameters: int = 0
    macs: int = 0
    preprocessing: Mapping[str, Any] | None = None
    head: str = "classes"
    threshold: tuple[float, ...] = ()
    targets_sha256: str = ""

    @property
    def pixels(self) -> PixelRule:
        """How pixels became values."""
        if self.preprocessing is not None:
            return ChannelRule.from_json(self.preprocessing)
        return InputRange(lo=self.input_range[0], hi=self.input_range[1])

    def to_json(self) -> dict[str, Any]:
        """The JSON form, with its schema version."""
        fields = asdict(self)
        if self.preprocessing is None:
            del fields["preprocessing"]
        return {"schema_version": SCHEMA_VERSION, "kind": "golden", **fields}

    def details(self) -> dict[str, str]:
        """Driver, TF32 and versions, as text for a reader."""
        texts = {"recorded with": self.backend or self.runtime, "driver": self.driver}
        if self.tf32 is not None:
            texts["TF32"] = "allowed" if self.tf32 else "off"
        versions = self.environment.get("versions")
        if isinstance(versions, dict):
            texts["versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
        if self.latency_us:
            texts["latency at batch 1 there"] = ", ".join(
                f"{name} {value:.1f} us" for name, value in self.latency_us.items()
            )
        return {name: text for name, text in texts.items() if text}

    @classmethod
    def from_json(cls, fields: Any, *, label: str) -> GoldenMeta:
        """Read the JSON form.

        Raises:
            InputError: another schema version, or fields that are missing or of another kind.
        """
        if isinstance(fields, dict) and fields.get("kind") == "integers":
            raise InputError(
                f"{label}: holds an artifact's own integers, which only that network's files are checked "
                "against: mnist-parity check GOLDEN.npz FILE..."
            )
        if not isinstance(fields, dict) or fields.get("kind") != "golden":
            raise InputError(f"{label}: expected a golden file of this tool, found other data.")
        version = fields.get("schema_version")
        if version != SCHEMA_VERSION:
            raise InputError(
                f"{label}: expected golden schema version {SCHEMA_VERSION}, found {version}. Record it again "
                "with this version: mnist-parity record MODEL -o GOLDEN.npz"
            )
        known = {k: v for k, v in fields.items() if k in cls.__dataclass_fields__}
        try:
            for name in ("image_shape", "class_names", "input_range", "layers", "threshold"):
                if name in known:
                    known[name] = tuple(known[name])
            meta = cls(**known)
            InputRange(lo=meta.input_range[0], hi=meta.input_range[1])
            _ = meta.pixels
            if meta.threshold:
                parse_threshold(meta.threshold)
            least = 2 if meta.head == "classes" else 1
            if meta.head not in {"classes", "labels", "values"}:
                raise ValueError(f"outputs of kind '{str(meta.head)[:40]}'")
            if meta.images < 1 or meta.classes < least or len(meta.image_shape) != 3:
                raise ValueError(f"{meta.images} images, {meta.classes} classes, shape {meta.image_shape}")
        except (InputError, KeyError, TypeError, ValueError, OverflowError, IndexError) as error:
            raise InputError(f"{label}: the golden file's description is damaged ({error}).") from error
        return meta


@dataclass(frozen=True, kw_only=True, eq=False)
class Golden:
    """Recorded answers.

    Attributes:
        meta: how they were recorded.
        logits: float32 (images, classes).
        layers: name to float32 (n, ...) activations of the first images, where recorded.
    """

    meta: GoldenMeta
    logits: npt.NDArray[np.float32]
    layers: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that figures and description agree."""
        expected = (self.meta.images, self.meta.classes)
        if self.logits.shape != expected or self.logits.dtype != np.float32:
            raise InputError(
                f"golden '{self.meta.model}': expected float32 logits of shape {expected}, found "
                f"{self.logits.dtype} of shape {self.logits.shape}. Record it again."
            )
        if not np.all(np.isfinite(self.logits)):
            raise InputError(
                f"golden '{self.meta.model}': holds logits that are not finite. Record it again."
            )

    def require(self, split: Split, *, label: str = "golden") -> None:
        """Refuse other data than that of the recording.

        Raises:
            InputError: other images, labels, or another number of them.
        """
        found = (len(split), split.images_sha256(), _answers_sha256(split, self.meta))
        expected = (
            self.meta.images,
            self.meta.images_sha256,
            self.meta.targets_sha256 or self.meta.labels_sha256,
        )
        if found != expected:
            what = (
                "number of images"
                if found[0] != expected[0]
                else "images"
                if found[1] != expected[1]
                else "labels"
            )
            raise InputError(
                f"{label}: recorded on {expected[0]} images of '{self.meta.data}' (sha256 "
                f"{expected[1][:12]}), found {found[0]} images (sha256 {found[1][:12]}): other {what}. "
                "Give the same data with `data`, or record again."
            )

    def save(self, path: Path) -> None:
        """Write the .npz, whole or not at all; the same content gives the same bytes."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "meta": np.frombuffer(json.dumps(self.meta.to_json(), sort_keys=True).encode(), np.uint8),
            "logits": self.logits,
            "predictions": self.logits.argmax(axis=1).astype(np.int64),
        }
        for index, name in enumerate(self.meta.layers):
            arrays[f"layer_{index:03d}"] = np.asarray(self.layers[name], np.float32)
        write_members(path, arrays)


def labels_sha256(labels: npt.NDArray[Any]) -> str:
    """Hex SHA-256 of labels as little-endian int64."""
    return hashlib.sha256(np.ascontiguousarray(labels, "<i8").tobytes()).hexdigest()


def targets_sha256(split: Split) -> str:
    """Hex SHA-256 of y that are numbers, as little-endian float64; empty where there are classes."""
    if split.targets is None:
        return ""
    return hashlib.sha256(np.ascontiguousarray(split.targets, "<f8").tobytes()).hexdigest()


def _answers_sha256(split: Split, meta: GoldenMeta) -> str:
    return targets_sha256(split) if meta.targets_sha256 else labels_sha256(split.labels)


def load_golden(path: str | Path) -> Golden:
    """Read a golden file.

    Raises:
        InputError: truncated, not a golden file, pickled, a bomb, not finite, or its parts disagree.
    """
    path = Path(path)
    label = path.name
    members = read_members(path)
    try:
        fields = json.loads(member_array(members, "meta", np.uint8, label).tobytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{label}: the golden file's description is not JSON. Record it again.") from error
    meta = GoldenMeta.from_json(fields, label=label)
    layers = {
        name: member_array(members, f"layer_{index:03d}", np.float32, label)
        for index, name in enumerate(meta.layers)
    }
    golden = Golden(meta=meta, logits=member_array(members, "logits", np.float32, label), layers=layers)
    predictions = member_array(members, "predictions", np.int64, label)
    if not np.array_equal(predictions, golden.logits.argmax(axis=1)):
        raise InputError(f"{label}: predictions and logits disagree. The file was changed; record it again.")
    return golden


class GoldenRunner(Runner):
    """Replays recorded answers; it can be a reference, not be timed."""

    name = "golden"

    def __init__(self, path: str | Path) -> None:
        """Load the recording."""
        self.golden = load_golden(path)
        meta = self.golden.meta
        super().__init__(
            label=meta.model,
            inputs=TensorInfo(name="images", shape=(-1, *meta.image_shape), dtype=np.dtype(np.uint8)),
            outputs=TensorInfo(name="logits", shape=(-1, meta.classes), dtype=np.dtype(np.float32)),
            device=meta.device,
            input_range=meta.pixels,
        )
        self.origin = "golden"
        self.head, self.threshold = meta.head, meta.threshold
        content = Path(path).read_bytes()
        self.source = ModelFile(
            path=str(path), format="golden", sha256=sha256_bytes(content), size_bytes=len(content)
        )

    def _compute(self, images: Images, batch_size: int) -> npt.NDArray[Any]:
        from mnist_export.data.dataset import Split

        split = Split(images=images, labels=np.zeros(len(images), np.int64))
        meta = self.golden.meta
        if len(images) != meta.images or split.images_sha256() != meta.images_sha256:
            raise InputError(
                f"{self.label}: recorded on {meta.images} images of '{meta.data}' (sha256 "
                f"{meta.images_sha256[:12]}), found {len(images)} others. Give the same data with `data`."
            )
        return self.golden.logits

    def _invoke(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        raise InputError(f"{self.label}: recorded answers cannot be timed. Give the model itself.")
