"""The page's overview: verdict, files, how to use them, circumstances."""

from __future__ import annotations

import re

from mnist_export.core.kinds import Verdict
from mnist_export.models.thresholds import threshold_text
from mnist_export.report import wording
from mnist_export.report.head_words import head_columns, head_facts, original_fact, reference_column
from mnist_export.report.heads import CLASSES, LEGENDS, TITLES, VALUES
from mnist_export.report.markup import (
    NOTHING,
    Html,
    badge,
    bullets,
    code,
    el,
    facts,
    fold,
    join,
    section,
    table,
)
from mnist_export.report.schema import ArtifactResult, Report
from mnist_export.report.snippets import python_snippet
from mnist_export.report.svg import share_bar
from mnist_export.report.usage import usage_html

MICRO = "\u00b5s"
DASH = NOTHING
_LEGEND = (
    "Drop: percentage points of top-1 lost against the original. Agreement: images where both give the same "
    "answer. Small figures are confidence intervals. p50: median time of one call. "
    "vs float: its time against that of the same network's float32 file in the same runtime, timed in turns."
)
_FIGURE = re.compile(r"(?<=\d) (?=%|pp\b|dB\b|kB\b|MB\b|ms\b|s\b|\u00b5s)")


def typeset(text: str) -> str:
    """A figure as the page shows it: a dash for what was not measured, a minus, a times sign."""
    if text == wording.NOT_MEASURED:
        return DASH
    signed = text.replace("-", "\u2212")
    return unbroken(signed.replace("x faster", "\u00d7 faster").replace("x slower", "\u00d7 slower"))


def unbroken(text: str) -> str:
    """A sentence whose figures stay on one line with their units."""
    return _FIGURE.sub("\u00a0", text)


def verdict_header(report: Report) -> Html:
    """The verdict first, in a word and in a sentence, then what it is about."""
    passed = report.verdict is Verdict.PASS
    model, data, reference = report.model, report.data, report.reference
    chips = [
        ("model", model.name),
        ("parameters", wording.number(model.parameters) if model.parameters is not None else None),
        ("MACs", wording.number(model.macs) if model.macs is not None else None),
        ("test data", f"{data.name}, {wording.count(data.images, 'image')}"),
        ("calibrated on", wording.count(data.calibration_images, "image")),
        ("original", f"{reference.runtime} on {reference.device}"),
        original_fact(report),
        ("thresholds", _thresholds(report)),
    ]
    return el(
        "header",
        el("p", el("span", "pass" if passed else "fail", class_="verdict"), class_="eyebrow"),
        el("h1", unbroken(wording.headline(report))),
        facts((name, value) for name, value in chips),
        class_="pass" if passed else "fail",
    )


def _thresholds(report: Report) -> str | None:
    limits = report.thresholds
    if limits is None:
        return None
    parts = []
    if limits.max_drop_pp is not None:
        parts.append(f"drop at most {limits.max_drop_pp:g} pp")
    if limits.min_agreement is not None:
        parts.append(f"agreement at least {limits.min_agreement * 100:g} %")
    if limits.threshold:
        parts.append(f"sigmoid over {threshold_text(limits.threshold)}")
    if limits.max_error is not None:
        parts.append(f"error at most {limits.max_error:g}")
    return ", ".join(parts) or None


def next_step(report: Report) -> Html:
    """What to do now, right below the verdict: a sentence and a command to copy."""
    if not report.next_command:
        return Html("")
    searches = "--auto" in report.next_command.split()
    if report.verdict is Verdict.PASS:
        told = "Next: repeat it where the files will run. A recording of the original stands in for it there."
    elif searches:
        told = "Next: search the cheapest change that keeps the thresholds, on validation images."
    else:
        told = "Next: look again, with other thresholds or another file."
    return el("div", el("p", el("b", told)), code(report.next_command, "sh"), class_="next")


def remarks(report: Report) -> Html:
    """Notes that concern the whole run, below the figures that they are about."""
    texts = [*report.notes, *report.data.notes, *report.model.notes]
    unique = list(dict.fromkeys(texts))
    return el("aside", bullets(unique), class_="note") if unique else Html("")


def files(report: Report, *, anchor: str = "files", title: str = "The files") -> Html:
    """The table of the run, then the checks of each file.

    Args:
        report: of the run.
        anchor: of the section.
        title: of the section.
    """
    titles = TITLES.get(report.head, TITLES[CLASSES])
    header = ("file", "precision", "size", *titles, "p50", "vs float", "verdict")
    reference = report.reference
    p50 = reference.latency_us.p50 if reference.latency_us else None
    rows: list[list[str]] = [
        [
            f"{reference.runtime} (original)", DASH, DASH,
            _with_interval(reference_column(report), reference.top1_interval),
            DASH, DASH, typeset(wording.duration(p50, MICRO)), DASH, "reference",
        ]
    ]  # fmt: skip
    rows += [_file_row(artifact, report.head) for artifact in report.artifacts]
    classes = ["original", *(a.verdict.value for a in report.artifacts)]
    return section(
        anchor,
        title,
        table(header, rows, numeric=(2, 3, 4, 5, 6, 7), kind="cards", row_classes=classes),
        el("p", _legend(report.head), class_="legend"),
        *(_reasons(artifact, report) for artifact in report.artifacts),
    )


def _legend(head: str) -> str:
    return LEGENDS[head] + _LEGEND[_LEGEND.index("p50") :] if head in LEGENDS else _LEGEND


def _file_row(artifact: ArtifactResult, head: str) -> list[str]:
    variant = f" ({artifact.variant})" if artifact.variant else ""
    first, second, third = head_columns(artifact, head)
    p50 = artifact.latency_us.p50 if artifact.latency_us else None
    return [
        el("code", artifact.name),
        artifact.precision + variant,
        typeset(wording.size(artifact.size_bytes)),
        _with_interval(first, artifact.top1_interval),
        typeset(second),
        _with_interval(third, artifact.agreement_interval),
        typeset(wording.duration(p50, MICRO)),
        typeset(wording.speed(artifact.vs_float)),
        badge(artifact.verdict is Verdict.PASS),
    ]


def _with_interval(text: str, bounds: tuple[float, float] | None) -> Html:
    shown = wording.interval(bounds).replace(" to ", DASH).removesuffix(" %")
    return join([typeset(text), el("small", shown) if shown else None])


def _reasons(artifact: ArtifactResult, report: Report) -> Html:
    failed = artifact.verdict is Verdict.FAIL
    rows = [[c.name, badge(c.verdict is Verdict.PASS), unbroken(c.why)] for c in artifact.checks]
    sentence = wording.finding(artifact, report.data.images)
    logits = artifact.logits
    what = "values" if report.head == VALUES else "logits"
    return fold(
        join([el("code", artifact.name), f" {DASH} why it {'does not pass' if failed else 'passes'}"]),
        el("p", unbroken(artifact.why), class_="why") if artifact.why else None,
        el("p", unbroken(sentence)) if not sentence.endswith(artifact.why or "\0") else None,
        table(("check", "verdict", "what was found"), rows) if rows else None,
        facts(
            [
                *head_facts(artifact, report.data.class_names),
                (f"different {what}", _of(logits.different, logits.compared) if logits else None),
                (f"largest {what[:-1]} error", _logit_error(artifact)),
                ("SQNR", f"{logits.sqnr_db:.1f} dB" if logits and logits.sqnr_db is not None else None),
                ("McNemar's exact test", _upper(wording.significance(artifact.mcnemar_p))),
                ("load time", None if artifact.load_ms is None else f"{artifact.load_ms:.1f} ms"),
                (
                    "peak memory",
                    None if artifact.peak_memory_bytes is None else wording.size(artifact.peak_memory_bytes),
                ),
            ]
        ),
        bullets(artifact.notes),
        open_=failed,
    )


def _upper(text: str) -> str | None:
    return f"the difference is {text}" if text else None


def _of(part: int | None, whole: int | None) -> str | None:
    if part is None:
        return None
    return wording.number(part) + (f" of {wording.number(whole)}" if whole is not None else "")


def _logit_error(artifact: ArtifactResult) -> str | None:
    logits = artifact.logits
    if logits is None or logits.max_abs_error is None:
        return None
    steps = logits.max_error_steps
    return wording.number(logits.max_abs_error) + (
        f" ({steps:g} {'step' if steps == 1 else 'steps'})" if steps is not None else ""
    )


def how_to_use(report: Report) -> Html:
    """The pixel rule and a snippet of Python for each file, and the next command."""
    parts: list[Html] = usage_html(report.usage)
    for artifact in report.artifacts:
        snippet = python_snippet(artifact, report.model, report.data.class_names, report.head)
        if snippet is None and artifact.pixel_rule is None:
            continue
        parts.append(
            fold(
                join([el("code", artifact.name), f" in {artifact.runtime}" if artifact.runtime else None]),
                el("p", el("b", "Pixel rule: "), artifact.pixel_rule) if artifact.pixel_rule else None,
                code(snippet, "python") if snippet else None,
                open_=not parts,
            )
        )
    return section("use", "Use the files", *parts)


def environment(report: Report) -> Html:
    """Machine, versions, timings and hashes."""
    place = report.environment
    reference = report.reference
    machine = facts(
        [
            ("CPU", place.cpu),
            ("cores", None if place.cores is None else str(place.cores)),
            ("threads used", str(place.threads)),
            ("memory", None if place.memory_bytes is None else wording.size(place.memory_bytes)),
            ("instruction sets", ", ".join(place.instruction_sets)),
            ("system", place.system),
            ("latency measured", place.timing),
            *((f"original: {key}", value) for key, value in reference.details.items()),
        ]
    )
    versions = facts(place.versions.items())
    hashes = facts(
        [
            ("model", report.model.sha256),
            ("data", report.data.sha256),
            *((a.name, a.sha256) for a in report.artifacts),
        ]
    )
    return section(
        "environment",
        "Environment",
        el("div", machine, versions, class_="columns"),
        _timings(report),
        fold("Hashes (SHA-256)", el("div", hashes, class_="hashes")) if hashes else None,
        fold("Command", code(report.command, "sh")) if report.command else None,
    )


def _timings(report: Report) -> Html | None:
    total = sum(report.timings_s.values())
    if total <= 0:
        return None
    rows = [
        [stage, wording.seconds(spent), share_bar(spent / total)] for stage, spent in report.timings_s.items()
    ]
    rows.append([el("b", "total"), el("b", wording.seconds(total)), ""])
    return join(
        [el("h3", "Where the time went"), table(("stage", "time", "share"), rows, numeric=(1,), kind="dense")]
    )


def footer(report: Report) -> Html:
    """Which tool wrote the page, when, and where the data and the model came from."""
    parts = [
        f"mnist-export {report.tool_version}" if report.tool_version else "mnist-export",
        report.created,
        f"model: {report.model.source}" + (f", {report.model.path}" if report.model.path else ""),
        f"data: {report.data.source}" if report.data.source else None,
    ]
    return el("footer", join([p for p in parts if p], " \u00b7 "))
