"""What a verdict is measured against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mnist_export.core.errors import InputError

_IMAGE_SLACK: Final = 1e-2  # thresholds are compared with ratios of counts


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """What a verdict is measured against.

    Attributes:
        max_drop_pp: largest allowed loss of top-1, percentage points (reference minus candidate).
        min_agreement: smallest allowed share of equal labels, fraction of 1.
        max_error: of outputs that are numbers: largest allowed error, in their units; see `parity.values`.

        threshold: from which probability on labels, or the second of two classes, are taken, see
            `models.thresholds`; empty for 0.5 and where there are no sigmoids.

    None is not judged.
    """

    max_drop_pp: float | None = 0.5
    min_agreement: float | None = 0.99
    max_error: float | None = None
    threshold: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse thresholds that nothing or everything passes."""
        drop, share = self.max_drop_pp, self.min_agreement
        if drop is not None and not -100 <= drop <= 100:
            raise InputError(
                f"`max_drop`: expected percentage points from -100 to 100, found {drop}. "
                "Example: `max_drop=0.5`"
            )
        if share is not None and not 0 <= share <= 1:
            raise InputError(
                f"`min_agreement`: expected a percentage from 0 to 100, found {share * 100:g}. "
                "Example: `min_agreement=99`"
            )

    def drops(self, drop_pp: float, images: int) -> bool:
        """Whether a loss of top-1 is over the limit, by more than a hundredth of one image."""
        limit = self.max_drop_pp
        return limit is not None and drop_pp > limit + 100 * _IMAGE_SLACK / images

    def parts(self, agreement: float, images: int) -> bool:
        """Whether a share of equal labels is under the limit, by more than a hundredth of one image."""
        limit = self.min_agreement
        return limit is not None and agreement < limit - _IMAGE_SLACK / images
