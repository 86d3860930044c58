"""The report's files on disk, all of them or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnist_export.core.checksums import checksum_list
from mnist_export.core.files import write_atomic
from mnist_export.report.html import render_html
from mnist_export.report.junit import render_junit
from mnist_export.report.schema import Report


@dataclass(frozen=True, kw_only=True)
class ReportPaths:
    """Where the report was written.

    Attributes:
        json: ``<stem>.report.json``.
        html: ``<stem>.report.html``.
        checksums: ``<stem>.report.sha256``, which lists those of them that are in the folder.
        junit: the JUnit file, if one was asked for.
    """

    json: Path
    html: Path
    checksums: Path
    junit: Path | None = None


def write_reports(
    report: Report,
    folder: Path,
    stem: str,
    *,
    images: Mapping[int, npt.NDArray[np.uint8]] | None = None,
    figures: Mapping[str, bytes] | None = None,
    junit: Path | None = None,
) -> ReportPaths:
    """Write ``<stem>.report.json``, ``.html`` and ``.sha256`` (of the two), whole or not at all.

    Args:
        report: the results.
        folder: where to; made if it is not there.
        stem: the files' common beginning, such as ``lenet5-mnist.int8``.
        images: index of a flipped image to its uint8 pixels; see `render_html`.
        figures: title to PNG bytes; see `render_html`.
        junit: also write JUnit XML to this path.

    Raises:
        InputError: an image or a figure is not what it has to be.
        OutputError: the folder or the disk does not take the files; none was written.
    """
    base = folder / f"{stem}.report"
    paths = ReportPaths(
        json=Path(f"{base}.json"), html=Path(f"{base}.html"), checksums=Path(f"{base}.sha256"), junit=junit
    )
    page = render_html(report, images=images, figures=figures)
    contents = {paths.html: page.encode("utf-8")}
    if junit is not None:
        contents[junit] = render_junit(report)
    contents[paths.json] = report.to_json().encode("ascii")
    listed = {
        path.name: content for path, content in contents.items() if path.parent.resolve() == folder.resolve()
    }
    contents[paths.checksums] = checksum_list(listed).encode()  # last: where it is, the others are
    write_atomic(contents)
    return paths
