"""A certificate in a few words: what a report holds of it."""

from __future__ import annotations

from dataclasses import dataclass

from mnist_export.core.kinds import Verdict
from mnist_export.core.record import Record


@dataclass(frozen=True, kw_only=True)
class LayerSummary(Record):
    """One row of a certificate.

    Attributes:
        name: the layer's name.
        holds: whether the layer is exact by the certificate's rule.
        accumulator_bound: largest absolute accumulator that any input can cause.
        text: what was found, such as the exponent or the first channel that fails.
    """

    name: str
    holds: bool
    accumulator_bound: int | None = None
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class CertificateSummary(Record):
    """The finding of a certificate, with a row for each layer.

    Attributes:
        verdict: whether it holds for every layer.
        text: the finding in a sentence.
        layers: row by layer.
    """

    verdict: Verdict
    text: str = ""
    layers: tuple[LayerSummary, ...] = ()
