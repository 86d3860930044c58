"""What may be done to training images: a description, free of TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, fields

from mnist_export.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes to a training image; every amount is the largest, drawn uniformly up to it.

    Attributes:
        shift: pixels, along each axis.
        rotation: degrees, either way.
        zoom: fraction of the size, in or out, along each axis by itself.
        shear: degrees.
        elastic: pixels of displacement of a smooth random field (Simard et al., "Best Practices for
            Convolutional Neural Networks Applied to Visual Document Analysis", ICDAR 2003).
        erase: share of images that lose one rectangle of a quarter of each side (Zhong et al.,
            "Random Erasing Data Augmentation", AAAI 2020).
    """

    shift: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    erase: float = 0.0

    def __post_init__(self) -> None:
        """Refuse amounts outside of their range."""
        highest = {
            "shift": 1000.0,
            "rotation": 180.0,
            "zoom": 0.9,
            "shear": 80.0,
            "elastic": 100.0,
            "erase": 1.0,
        }
        for name, most in highest.items():
            value = getattr(self, name)
            if not 0.0 <= value <= most:
                raise InputError(
                    f"`augment` {name}: expected a number from 0 to {most:g}, found {value:g}. "
                    "Leave it out, or choose a value in the range."
                )

    @property
    def active(self) -> bool:
        """Whether anything is changed at all."""
        return any(getattr(self, field.name) for field in fields(self))

    @property
    def warps(self) -> bool:
        """Whether pixels move (everything but erasing)."""
        return any((self.shift, self.rotation, self.zoom, self.shear, self.elastic))

    @classmethod
    def parse(cls, text: str) -> Augmentation:
        """Read ``"shift=2,rotation=10"``; ``"none"`` is no augmentation at all.

        Raises:
            InputError: an unknown name, a value that is no number or is out of range.
        """
        known = [field.name for field in fields(cls)]
        amounts: dict[str, float] = {}
        if text.strip().lower() == "none":
            return cls()
        for part in text.split(","):
            name, sign, value = part.partition("=")
            name = name.strip()
            if name not in known:
                from mnist_export.core.registry import unknown_name

                raise unknown_name("augmentation", name, [*known, "none"])
            try:
                amounts[name] = float(value) if sign else float("nan")
            except ValueError:
                amounts[name] = float("nan")
            if amounts[name] != amounts[name]:
                raise InputError(
                    f"`augment=\"{name}\"`: expected {name}=NUMBER, found '{part.strip()}'. "
                    'Example: `augment="shift=2,rotation=10,zoom=0.1"`'
                )
        return cls(**amounts)
