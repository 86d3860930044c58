"""A certificate of exactness as a part of the report."""

from __future__ import annotations

from mnist_export.parity.certificate import certifying as found
from mnist_export.report.parts import Certificate, CertifiedLayer


def certificate_of(certificate: found.Certificate) -> Certificate:
    """Bring what was found in a file into the report's form.

    Args:
        certificate: as `runtime.certificate.certifying.certify` gives it.
    """
    return Certificate(
        verdict=certificate.verdict,
        text=certificate.text,
        layers=tuple(
            CertifiedLayer(
                name=layer.name,
                holds=layer.holds,
                accumulator_bound=layer.accumulator_bound,
                text=layer.text,
            )
            for layer in certificate.layers
        ),
    )
