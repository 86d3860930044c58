"""The page's evidence about causes: latency, layers, calibration, gaps, what the files hold, training."""

from __future__ import annotations

from collections.abc import Mapping

from mnist_export.core.kinds import Verdict
from mnist_export.parity.layers.error import LayerError
from mnist_export.report import wording
from mnist_export.report.context import Gap
from mnist_export.report.evidence import group, names
from mnist_export.report.heads import CLASSES, LABELS, TITLES, VALUES
from mnist_export.report.markup import Html, badge, bullets, el, fold, join, section, table
from mnist_export.report.parts import Audit
from mnist_export.report.pictures import data_uri
from mnist_export.report.schema import ArtifactResult, Report
from mnist_export.report.sections import DASH, MICRO, typeset
from mnist_export.report.svg import axis_end, latency_bar, lines, share_bar
from mnist_export.runtime.timing.figures import Latency


def latency(report: Report) -> Html:
    """Latency of one call for the original and every file, over one axis."""
    reference = report.reference
    rows: list[tuple[str, Latency, str]] = []
    if reference.latency_us is not None:
        rows.append((f"{reference.runtime} (original)", reference.latency_us, ""))
    for artifact in report.artifacts:
        if artifact.latency_us is not None:
            against = _against(artifact)
            rows.append((f"{wording.label(artifact)} in {artifact.runtime}", artifact.latency_us, against))
    if not rows:
        return Html("")
    end = axis_end([row[1] for row in rows])
    runs = {p.runs for _, p, _ in rows if p.runs is not None}
    batches = {p.batch or 1 for _, p, _ in rows}
    how = (
        f"Batch {', '.join(map(str, sorted(batches)))}, {wording.count(report.environment.threads, 'thread')}"
    )
    how += f", models in turns, {report.environment.timing}" if report.environment.timing else ""
    how += f", {min(runs):,} measured calls or more each" if runs else ""
    text = f"{how}. Solid up to the median, lighter to the 90th and the 99th percentile; shorter is faster."
    if any(p.histogram for _, p, _ in rows):
        text += " Above each bar, the distribution."
    drawn = [_latency_row(name, p, against, end) for name, p, against in rows]
    axis = el("div", el("span", "0"), el("span", wording.duration(end, MICRO)), class_="axis")
    return section("latency", "Latency", el("p", text), el("div", *drawn, axis, class_="latency"))


def _against(artifact: ArtifactResult) -> str:
    """The file's time over its float32 file's and over the original's, as far as they were measured."""
    parts = [
        f"{typeset(wording.speed(ratio))} {than}"
        for ratio, than in ((artifact.vs_float, "than float"), (artifact.vs_original, "than the original"))
        if ratio is not None
    ]
    return ", ".join(parts)


def _latency_row(name: str, percentiles: Latency, against: str, end_us: float) -> Html:
    spread = percentiles.p50_interval
    figures = [
        el("b", wording.duration(percentiles.p50, MICRO)),
        el("span", f"p90 {wording.duration(percentiles.p90, MICRO)}"),
        el("span", f"p99 {wording.duration(percentiles.p99, MICRO)}"),
        el("span", f"median between {wording.duration(spread[0], MICRO)} and "
           f"{wording.duration(spread[1], MICRO)}") if spread else None,
    ]  # fmt: skip
    return el(
        "div",
        el("div", el("span", name), el("em", against) if against else None, class_="name"),
        latency_bar(percentiles, end_us),
        el("div", *figures, class_="figures"),
        class_="lat",
    )


def layers(report: Report) -> Html:
    """Where the file and the original part, layer by layer."""
    parts: list[Html] = []
    for members, entries in group(report.artifacts, lambda a: a.layers):
        first = next((e.name for e in entries if e.exceeds), None)
        found = f"The first layer above its budget is {first}." if first else "No layer is above its budget."
        if all(e.budget_steps is None for e in entries) and first is None:
            found = ""
        parts.append(
            fold(names(members), el("p", found) if found else None, _layer_table(entries), open_=not parts)
        )
    return section("layers", "Error by layer", *parts)


def _layer_table(entries: tuple[LayerError, ...]) -> Html:
    by_channel = any(e.worst_channel_steps is not None for e in entries)
    apart = any(e.own_sqnr_db is not None or e.alone_sqnr_db is not None for e in entries)
    largest = max((_judged(e) or 0.0 for e in entries), default=0.0) or 1.0
    rows: list[list[str]] = []
    for e in entries:
        judged = _judged(e)
        steps = DASH if judged is None else f"{judged:.3g}"
        bar = share_bar((judged or 0.0) / largest, "over" if e.exceeds else "share")
        rows.append(
            [
                el("code", e.name),
                e.operator,
                steps,
                bar,
                DASH if e.budget_steps is None else f"{e.budget_steps:.3g}",
                DASH if e.max_abs_error is None else f"{e.max_abs_error:.3g}",
                _decibels(e.sqnr_db),
                *(_apart(e) if apart else ()),
            ]
        )
    measure = "worst channel, RMS steps" if by_channel else "largest error, steps"
    header = ["layer", "operator", measure, "", "budget", "largest error, real"]
    header += [*_APART] if apart else ["SQNR"]
    classes = ["fail" if e.exceeds else None for e in entries]
    grid = table(header, rows, numeric=(2, *range(4, len(header))), kind="dense", row_classes=classes)
    return join([el("p", _APART_TEXT), grid]) if apart else grid


_APART = ("SQNR, propagated", "own", "own, at the logits", "range", "saturated")
_APART_TEXT = (
    "SQNR, propagated: at the layer's output, with what the layers before hand on. Own: at the same place "
    "when this layer alone is quantized. Own, at the logits: what is left of that at the end."
)


def _apart(entry: LayerError) -> list[str]:
    """What a layer adds itself, apart from what it was handed."""
    seen, cut = entry.observed, entry.saturation
    return [
        _decibels(entry.own_sqnr_db),
        _decibels(entry.alone_sqnr_db),
        DASH if seen is None else f"{seen[0]:.4g} to {seen[1]:.4g}",
        DASH if cut is None else typeset(wording.percent(cut)),
    ]


def _decibels(value: float | None) -> str:
    return DASH if value is None else f"{value:.1f} dB"


def _judged(entry: LayerError) -> float | None:
    """What the layer's budget is for, in steps."""
    return entry.max_error_steps if entry.worst_channel_steps is None else entry.worst_channel_steps


def calibration(report: Report) -> Html:
    """What calibration noticed, warnings first."""
    ordered = sorted(report.findings, key=lambda f: f.level != "warning")
    items = [
        el("li", el("code", f.where) if f.where else None, " " if f.where else None, f.text, class_=f.level)
        for f in ordered
    ]
    return section("calibration", "Calibration", el("ul", *items, class_="findings") if items else None)


def gaps(report: Report) -> Html:
    """Accuracy step by step from float to runtime, and what was left unchecked."""
    titles = {VALUES: (), LABELS: TITLES[LABELS][1:]}.get(report.head, TITLES[CLASSES])
    rows = [
        [
            gap.name,
            *_gap_cells(gap)[len(TITLES[CLASSES]) - len(titles) :],
            DASH if gap.max_abs_error is None else f"{gap.max_abs_error:.3g}",
            gap.text,
        ]
        for gap in report.gaps
    ]
    largest = "largest error" if report.head == VALUES else "largest logit error"
    header = ("step", *titles, largest, "remark")
    numbers = tuple(range(1, len(header) - 1))
    return join(
        [
            section("gaps", "From float to runtime", table(header, rows, numeric=numbers, kind="dense"))
            if rows
            else None,
            section("unchecked", "Not checked", bullets(report.not_checked)),
        ]
    )


def _gap_cells(gap: Gap) -> tuple[str, ...]:
    return (
        typeset(wording.percent(gap.top1)),
        typeset(wording.points(gap.drop_pp)),
        typeset(wording.percent(gap.agreement)),
    )


def contents(report: Report) -> Html:
    """What each file holds: operators, weights by type, certificate, compression."""
    parts = [
        fold(el("code", a.name), _audit(a.audit, a) if a.audit else None, _certificate(a), _compression(a))
        for a in report.artifacts
        if a.audit or a.certificate or a.compression
    ]
    return section("contents", "What the files hold", *parts)


def _audit(audit: Audit, artifact: ArtifactResult) -> Html:
    operators = ", ".join(f"{name} {amount}" for name, amount in audit.operators.items())
    weights = ", ".join(f"{wording.size(b)} {kind}" for kind, b in audit.weight_bytes.items())
    pairs = [("operators", operators), ("constants", weights)]
    if artifact.input_type or artifact.output_type:
        pairs.append(("input and output", f"{artifact.input_type or '?'}, {artifact.output_type or '?'}"))
    if audit.float_operators:
        pairs.append(("operators in float", ", ".join(audit.float_operators)))
    rows = [el("div", el("dt", name), el("dd", text)) for name, text in pairs if text]
    return join([el("dl", *rows), bullets(audit.notes)])


def _certificate(artifact: ArtifactResult) -> Html | None:
    certificate = artifact.certificate
    if certificate is None:
        return None
    rows = [
        [el("code", r.name), badge(r.holds), wording.number(r.accumulator_bound), r.text]
        for r in certificate.layers
    ]
    header = ("layer", "exact", "accumulator at most", "finding")
    return join(
        [
            el("h3", "Certificate of exactness ", badge(certificate.verdict is Verdict.PASS)),
            el("p", certificate.text) if certificate.text else None,
            table(header, rows, numeric=(2,), kind="dense") if rows else None,
        ]
    )


def _compression(artifact: ArtifactResult) -> Html | None:
    kept = artifact.compression
    if kept is None:
        return None
    lines_ = []
    if kept.sparsity is not None:
        lines_.append(f"{wording.percent(kept.sparsity)} of the weights are zero.")
    if kept.size_gzip_bytes is not None:
        lines_.append(f"{wording.size(kept.size_gzip_bytes)} after gzip.")
    if kept.distinct_weights:
        each = ", ".join(f"{name} {amount}" for name, amount in kept.distinct_weights.items())
        lines_.append(f"Distinct weights: {each}.")
    return bullets(lines_)


def training(report: Report, figures: Mapping[str, bytes]) -> Html:
    """Curves of the training's figures, and the pictures that were given."""
    charts = []
    families: dict[str, dict[str, tuple[float | None, ...]]] = {}
    for name, curve in report.history.items():
        families.setdefault(name.removeprefix("val_"), {})[name] = curve
    for family, series in families.items():
        drawn = lines(series)
        if drawn is None:
            continue
        drawing, low, high = drawn
        keys = [el("span", name, class_=f"key s{place % 6}") for place, name in enumerate(series)]
        epochs = max(len(curve) for curve in series.values())
        span = (
            f"{family}: {wording.number(low)} to {wording.number(high)} over {wording.count(epochs, 'epoch')}"
        )
        charts.append(el("figure", drawing, el("figcaption", span, " ", *keys)))
    pictures = [
        el("figure", el("img", src=data_uri(png, title), alt=title), el("figcaption", title))
        for title, png in figures.items()
    ]
    return section(
        "training",
        "Training" if report.history else "Figures",
        el("div", *charts, class_="charts") if charts else None,
        el("div", *pictures, class_="figures-grid") if pictures else None,
    )
