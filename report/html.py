"""The page for a person: one file, no script, no request, the verdict first."""

from __future__ import annotations

import importlib.resources
import re
import string
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mnist_export.report import evidence, insight, on_devices, outputs, sections
from mnist_export.report.markup import Html, el, join
from mnist_export.report.schema import Report
from mnist_export.report.text import escape

_HEADING = re.compile(r'<section id="([a-z0-9-]+)"><h2>([^<]*)</h2>')


def render_html(
    report: Report,
    *,
    images: Mapping[int, npt.NDArray[np.uint8]] | None = None,
    figures: Mapping[str, bytes] | None = None,
) -> str:
    """The report as one self-contained HTML page.

    Text from outside is escaped and its control characters are made visible; a content security
    policy in the page forbids scripts and requests.

    Args:
        report: the results.
        images: index of a flipped image to its pixels, uint8 of shape (H, W), (H, W, 1) or (H, W, 3);
            flips without one are shown without a picture.
        figures: title to the bytes of a PNG, such as plots of the training.

    Returns:
        The page as text, to be written as UTF-8.

    Raises:
        InputError: an image or a figure is not what it has to be.
    """
    parts = [
        join([outputs.file_sections(report), sections.remarks(report)], "\n"),
        on_devices.devices(report),
        evidence.flips(report, images or {}),
        insight.latency(report),
        evidence.confusion(report),
        evidence.per_class(report),
        insight.gaps(report),
        insight.layers(report),
        insight.calibration(report),
        insight.contents(report),
        insight.training(report, figures or {}),
        sections.how_to_use(report),
        sections.environment(report),
    ]
    content = join(parts, "\n")
    body = join(
        [
            sections.verdict_header(report),
            sections.next_step(report),
            _contents(content),
            content,
            sections.footer(report),
        ],
        "\n",
    )
    return whole_page(f"{report.verdict.value}: {report.model.name} on {report.data.name}", body)


def whole_page(title: str, body: Html, *, style: str = "") -> str:
    """A page of this project's look around a body: one file, no script, no request.

    Args:
        title: of the page, escaped here.
        body: its content.
        style: more CSS, after the project's own.
    """
    page = string.Template(_resource("page.html"))
    return page.substitute(title=escape(title), style=_resource("style.css") + style, body=body)


def _contents(content: Html) -> Html:
    """Links to the sections that are there."""
    links = [el("a", Html(title), href=f"#{anchor}") for anchor, title in _HEADING.findall(content)]
    return el("nav", *links, aria_label="sections")


def _resource(name: str) -> str:
    return importlib.resources.files("mnist_export.report").joinpath(name).read_text(encoding="utf-8")
