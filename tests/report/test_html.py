from __future__ import annotations

import base64
import dataclasses
import io
import re
import unicodedata
from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Verdict
from mnist_export.parity.comparison import Flip
from mnist_export.report.context import DataInfo
from mnist_export.report.html import render_html
from mnist_export.report.schema import Report
from mnist_export.report.text import clean, escape

Pictures = dict[int, npt.NDArray[np.uint8]]
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Elements and text of a page; fails on tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if self.open[-1:] != ["style"] else ""

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(report: Report, pictures: Pictures) -> str:
    return render_html(report, images=pictures)


def test_the_verdict_comes_first_in_a_sentence(page: str) -> None:
    text = " ".join(Page(page).text.split())
    assert re.match("pass: lenet5 on mnist pass ?All 3 files pass: they give the original's answer on", text)


def test_tags_nest_and_anchors_lead_somewhere(page: str) -> None:
    parsed = Page(page)
    anchors = {a["id"] for _, a in parsed.tags if "id" in a}
    links = [a["href"] for a in parsed.named("a")]
    assert len(links) >= 10
    assert {link[1:] for link in links if link} <= anchors
    assert parsed.named("title") == [{}]


def test_every_part_of_the_report_has_its_section(page: str) -> None:
    anchors = [a.get("id") for a in Page(page).named("section")]
    assert anchors == [
        "files",
        "flips",
        "latency",
        "confusion",
        "classes",
        "gaps",
        "layers",
        "calibration",
        "contents",
        "training",
        "use",
        "environment",
    ]


def test_the_page_asks_for_nothing_from_outside(page: str) -> None:
    for _, attributes in Page(page).tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert not re.match(r"(?i)\s*(https?:|//|file:|ftp:)", attributes.get(name) or "")
    assert not re.search(r"(?i)(src|href)\s*=\s*[\"']?\s*(https?:)?//", page)
    assert "@import" not in page
    assert "url(" not in page
    assert "<script" not in page
    assert "default-src 'none'" in page


def test_flips_are_pictures_that_show_the_pixels(page: str, pictures: Pictures) -> None:
    shown = {}
    for image in Page(page).named("img"):
        alt, source = image["alt"] or "", image["src"] or ""
        png = base64.b64decode(source.removeprefix("data:image/png;base64,"))
        shown[int(alt.split()[1].rstrip(","))] = np.asarray(Image.open(io.BytesIO(png)))
    assert shown.keys() == pictures.keys()
    for index, pixels in shown.items():
        assert np.array_equal(pixels, pictures[index][:, :, 0])


def test_files_with_the_same_flips_share_their_pictures(page: str, report: Report) -> None:
    assert len(Page(page).named("img")) == len(report.artifacts[0].flip_list)
    assert "lenet5-mnist.int8.tflite, lenet5-mnist.int8.onnx" in Page(page).text


def test_at_most_24_pictures_are_shown_the_surest_first(change: Callable[..., Report]) -> None:
    flips = tuple(Flip(index=i, label=1, reference=1, candidate=2, margin=float(i)) for i in range(40))
    many = change(artifact={"flips": 40, "flip_list": flips})
    images = {i: np.full((28, 28), i, np.uint8) for i in range(40)}
    shown = Page(render_html(many, images=images)).named("img")
    assert [i["alt"] for i in shown][:2] == ["image 39, true class 1", "image 38, true class 1"]
    assert len(shown) == 24


def test_a_flip_without_a_picture_is_still_told(report: Report) -> None:
    text = Page(render_html(report)).text
    assert text.count("no picture") == len(report.artifacts[0].flip_list)


@pytest.mark.parametrize("shape", [(30, 20), (30, 20, 1), (30, 20, 3), (300, 200, 3)])
def test_pictures_of_any_size_and_colour_are_taken(
    shape: tuple[int, ...], report: Report, change: Callable[..., Report]
) -> None:
    index = report.artifacts[0].flip_list[0].index
    page = render_html(report, images={index: np.zeros(shape, np.uint8)})
    source = Page(page).named("img")[0]["src"] or ""
    size = Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))).size
    assert max(size) <= 112


@pytest.mark.parametrize(
    "image", [np.zeros((28, 28), np.float32), np.zeros((28, 28, 2), np.uint8), np.zeros((0, 28), np.uint8)]
)
def test_what_is_no_image_is_refused(report: Report, image: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match="picture of an image"):
        render_html(report, images={report.artifacts[0].flip_list[0].index: image})


def test_figures_are_embedded_and_others_than_png_refused(report: Report) -> None:
    buffer = io.BytesIO()
    Image.new("L", (4, 4)).save(buffer, "PNG")
    page = Page(render_html(report, figures={"sample grid": buffer.getvalue()}))
    assert "sample grid" in [i["alt"] for i in page.named("img")]
    with pytest.raises(InputError, match="expected the bytes of a PNG"):
        render_html(report, figures={"x": b"<svg/>"})


EVIL = "<script>alert(1)</script>\"'&\x00\x1b[31m\u202e\n$title"


def evil_report(report: Report) -> Report:
    artifact = report.artifacts[0]
    return dataclasses.replace(
        report,
        model=dataclasses.replace(report.model, name=EVIL, path=EVIL, notes=(EVIL,), sha256=EVIL),
        data=dataclasses.replace(
            report.data, name=EVIL, class_names=(EVIL,) * 10, notes=(EVIL,), source=EVIL
        ),
        reference=dataclasses.replace(report.reference, runtime=EVIL, device=EVIL, details={EVIL: EVIL}),
        environment=dataclasses.replace(report.environment, cpu=EVIL, versions={EVIL: EVIL}, system=EVIL),
        artifacts=(
            dataclasses.replace(
                artifact,
                path=EVIL,
                variant=EVIL,
                why=EVIL,
                notes=(EVIL,),
                pixel_rule=EVIL,
                runtime=EVIL,
                checks=tuple(dataclasses.replace(c, name=EVIL, why=EVIL) for c in artifact.checks),
                layers=tuple(dataclasses.replace(e, name=EVIL, operator=EVIL) for e in artifact.layers),
            ),
        ),
        findings=tuple(dataclasses.replace(f, text=EVIL, level=EVIL, where=EVIL) for f in report.findings),
        gaps=tuple(dataclasses.replace(g, name=EVIL, text=EVIL) for g in report.gaps),
        history={EVIL: (0.1, 0.2)},
        timings_s={EVIL: 1.0},
        notes=(EVIL,),
        not_checked=(EVIL,),
        next_command=EVIL,
        command=EVIL,
        tool_version=EVIL,
        created=EVIL,
    )


def test_text_from_outside_cannot_become_markup(report: Report, pictures: Pictures) -> None:
    plain = Page(render_html(dataclasses.replace(report, notes=("a",), not_checked=("b",)), images=pictures))
    evil_text = render_html(evil_report(report), images=pictures)
    evil = Page(evil_text)
    assert evil.named("script") == []
    assert {tag for tag, _ in evil.tags} <= {tag for tag, _ in plain.tags}
    assert {key for _, a in evil.tags for key in a} <= {key for _, a in plain.tags for key in a}
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", evil_text)
    assert "&lt;script&gt;" in evil_text
    assert "$title" in evil.text


@given(st.text())
def test_cleaning_leaves_no_control_character_and_keeps_the_rest(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) == len(text)
    assert not {unicodedata.category(c) for c in cleaned} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert clean(cleaned) == cleaned
    assert not set("<>\"'") & set(escape(text))


@settings(max_examples=15, deadline=None)
@given(name=st.text(), why=st.text())
def test_any_text_gives_a_whole_page(report: Report, name: str, why: str) -> None:
    changed = dataclasses.replace(
        report, model=dataclasses.replace(report.model, name=name), notes=(why,), next_command=name
    )
    Page(render_html(changed))


def test_a_report_with_the_least_in_it_gives_a_page(report: Report) -> None:
    first = report.artifacts[0]
    bare = Report.from_json(
        dataclasses.replace(
            report,
            verdict=Verdict.FAIL,
            artifacts=(),
            reference=dataclasses.replace(
                report.reference, top1=None, latency_us=None, confusion=None, per_class_accuracy=None
            ),
            timings_s={},
            findings=(),
            gaps=(),
            history={},
            next_command=None,
            command=None,
            thresholds=None,
        ).to_json()
    )
    assert "Nothing was judged" in Page(render_html(bare)).text
    unmeasured = dataclasses.replace(
        first,
        top1=None,
        top1_interval=None,
        drop_pp=None,
        agreement=None,
        agreement_interval=None,
        flips=None,
        flip_list=(),
        logits=None,
        latency_us=None,
        vs_original=None,
        checks=(),
        confusion=None,
        layers=(),
        per_class_accuracy=None,
        audit=None,
        certificate=None,
        mcnemar_p=None,
        load_ms=None,
        verdict=Verdict.FAIL,
        input_type=None,
        input_shape=None,
        pixel_rule=None,
    )
    page = Page(render_html(dataclasses.replace(bare, artifacts=(unmeasured,))))
    assert [s.get("id") for s in page.named("section")] == ["files", "use", "environment"]


def test_a_layers_own_error_stands_beside_the_propagated_one(report: Report) -> None:
    def with_layers(**more: float | tuple[float, float]) -> str:
        changed = [
            dataclasses.replace(a, layers=tuple(dataclasses.replace(e, **more) for e in a.layers[:1]))
            for a in report.artifacts
        ]
        return Page(render_html(dataclasses.replace(report, artifacts=tuple(changed)))).text

    assert "propagated" not in with_layers()
    text = with_layers(own_sqnr_db=51.25, alone_sqnr_db=47.5, observed=(-1.5, 6.25), saturation=0.0125)
    for shown in ("SQNR, propagated", "51.2 dB", "47.5 dB", "-1.5 to 6.25", "1.25"):
        assert shown in text
    assert "47.5 dB" in with_layers(alone_sqnr_db=47.5)


def test_many_classes_leave_the_matrices_to_the_json(report: Report) -> None:
    matrix = tuple(tuple(int(i == j) for j in range(50)) for i in range(50))
    wide = dataclasses.replace(
        report,
        data=DataInfo(name="big", images=50, class_names=tuple(f"c{i}" for i in range(50))),
        reference=dataclasses.replace(report.reference, confusion=matrix, per_class_accuracy=(1.0,) * 50),
        artifacts=(
            dataclasses.replace(
                report.artifacts[0], confusion=matrix, per_class_accuracy=(1.0,) * 49 + (None,)
            ),
        ),
    )
    text = Page(render_html(wide)).text
    assert "50 classes are too many to show here" in text
    assert "All 50 classes" in text


def test_a_latency_of_zero_or_far_outliers_still_draws(change: Callable[..., Report], report: Report) -> None:
    zero = dataclasses.replace(report.artifacts[0].latency_us, p50=0, p90=0, p99=0, p50_interval=None)  # type: ignore[type-var]
    far = dataclasses.replace(report.artifacts[0].latency_us, p99=1e9)  # type: ignore[type-var]
    for latency in (zero, far):
        drawn = Page(render_html(change(artifact={"latency_us": latency})))
        widths = [float((r["width"] or "").rstrip("%")) for r in drawn.named("rect")]
        assert widths
        assert all(0 <= w <= 100 for w in widths)


def test_the_page_is_the_same_every_time(report: Report, pictures: Pictures, page: str) -> None:
    assert render_html(report, images=pictures) == page
