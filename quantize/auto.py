"""Finds the cheapest change to a quantization that keeps the accuracy: ranges first, float layers last.

Everything is decided on validation images; the test part is looked at once, by the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.graph import Graph
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.parameters import parameter
from mnist_export.data.dataset import Split
from mnist_export.quantize import quantize
from mnist_export.quantize.diagnosis.debug import diagnose
from mnist_export.quantize.network.layers import exact_pattern, layer_name
from mnist_export.quantize.network.scheme import QuantizedModel, SchemeConfig
from mnist_export.quantize.network.simulate import latency_ratio, run_logits
from mnist_export.quantize.ranges.calibration import OBSERVERS

IMAGES = 2000
Answers = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How good a network's answers are.

    Attributes:
        text: the figures, for a report.
        meets: whether they are within the limits.
        distance: how far they are from the limits, smaller is better; compared item by item.
        drop_pp: of classes and labels: percentage points lost against the float model; None for numbers.
        agreement: of classes and labels: share of images with the float model's; None for numbers.
    """

    text: str
    meets: bool
    distance: tuple[float, ...]
    drop_pp: float | None = None
    agreement: float | None = None


Judge = Callable[[Answers, Answers, Split], Figures]
"""From the float network's answers, a network's own and the images' y, to figures."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One thing that was tried.

    Attributes:
        settings: the parameters that it adds, as messages name them; empty for the scheme as asked for.
        figures: on the validation images.
        size_bytes: of the .tflite file without metadata.
        latency_ratio: time of one image over that of the scheme as asked for, on this machine.
    """

    settings: str
    figures: Figures
    size_bytes: int
    latency_ratio: float

    @property
    def meets(self) -> bool:
        """Whether the figures are within the limits."""
        return self.figures.meets

    @property
    def drop_pp(self) -> float | None:
        """See `Figures`."""
        return self.figures.drop_pp

    @property
    def agreement(self) -> float | None:
        """See `Figures`."""
        return self.figures.agreement

    def sentence(self) -> str:
        """What a report says."""
        return (
            f"{self.settings or 'as asked for'}: {self.figures.text}, {self.size_bytes:,} bytes, "
            f"{self.latency_ratio:.2f} times the time"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchResult:
    """What the search chose.

    Attributes:
        model: the network, the best one where none meets the drop.
        config: the settings that it was made with.
        trials: everything tried, in order.
        met: whether the allowed drop was met.
        chosen: the trial whose network this is.
        images: validation images it was judged on.
    """

    model: QuantizedModel
    config: SchemeConfig
    trials: tuple[Trial, ...]
    met: bool
    chosen: Trial
    images: int


def search(
    graph: Graph,
    config: SchemeConfig,
    calibration: npt.NDArray[np.uint8],
    validation: Split,
    *,
    max_drop_pp: float = 0.0,
    min_agreement: float = 0.0,
    judge: Judge | None = None,
    limit: str = "",
    notify: Callable[[str], None] | None = None,
) -> SearchResult:
    """Try cheap remedies, then layers in float from the most harmful on, and stop where the drop is met.

    The order: the scheme as it is; other calibration methods; equalization; bias correction; both; learned
    rounding; then, with the best of these, layers kept in float, added in the order of the damage that
    each does alone and taken back one by one where the limits are still met without them.

    Args:
        graph: the float graph.
        config: the scheme as asked for, int8 or int16x8.
        calibration: uint8 calibration images of shape (n, H, W, C).
        validation: what trials are judged on; the first 2,000 images.
        max_drop_pp: of classes: largest allowed loss of top-1, percentage points.
        min_agreement: of classes: smallest allowed share of equal labels, a fraction of 1.
        judge: measures answers against the limits; None takes those of classes.
        limit: the judge's limits in words.
        notify: told each trial.

    Raises:
        InputError: there are no validation images.
    """
    if not len(validation):
        raise InputError("`auto`: expected validation images to judge trials on, found none. Use other data.")
    if judge is None:
        judge = by_classes(max_drop_pp, min_agreement)
        more = f" and an agreement of {min_agreement:.2%}" if min_agreement else ""
        limit = f"a drop of {max_drop_pp:g} pp{more}"
    some = validation.take(np.arange(min(IMAGES, len(validation))))
    trials = _Trials(graph, config, calibration, some, judge, limit)
    trials.notify = notify or (lambda _: None)
    if trials.trial(config).meets:
        return trials.result(config)
    for tried in _remedies(config):
        if trials.trial(tried).meets:
            return trials.result(tried)
    best = trials.best()
    kept = _keep_float(trials, graph, best, calibration)
    return trials.result(kept if kept is not None else trials.best())


def by_classes(max_drop_pp: float, min_agreement: float = 0.0) -> Judge:
    """Judge answers by their largest output.

    Args:
        max_drop_pp: largest allowed loss of top-1, percentage points.
        min_agreement: smallest allowed share of equal labels, a fraction of 1.
    """

    def judge(wanted: Answers, found: Answers, split: Split) -> Figures:
        first, labels, truth = wanted.argmax(axis=1), found.argmax(axis=1), split.labels
        right = int(np.count_nonzero(labels == truth))
        drop = 100.0 * (int(np.count_nonzero(first == truth)) - right) / len(split)
        agreement = float(np.mean(labels == first))
        return Figures(
            text=f"top-1 {right / len(split):.2%}, drop {drop:+.2f} pp, agreement {agreement:.2%}",
            meets=drop <= max_drop_pp + 1e-9 and agreement >= min_agreement - 1e-9,
            distance=(max(0.0, drop - max_drop_pp), -agreement),
            drop_pp=drop,
            agreement=agreement,
        )

    return judge


class _Trials:
    """Quantizes, measures and remembers."""

    def __init__(
        self,
        graph: Graph,
        config: SchemeConfig,
        calibration: npt.NDArray[np.uint8],
        split: Split,
        judge: Judge,
        limit: str,
    ) -> None:
        self._graph, self._calibration, self._split = graph, calibration, split
        self._asked, self._judge, self._limit = config, judge, limit
        self._wanted = self._answers(graph, config)
        self._done: dict[SchemeConfig, tuple[QuantizedModel, Trial]] = {}
        self.notify: Callable[[str], None] = lambda _: None

    def _answers(self, graph: Graph, config: SchemeConfig) -> Answers:
        return run_logits(graph, self._split.images, input_range=config.input_range)

    def trial(self, config: SchemeConfig) -> Trial:
        """Try a configuration, or recall how it went."""
        if config in self._done:
            return self._done[config][1]
        model = quantize(self._graph, config, self._calibration)
        figures = self._judge(self._wanted, self._answers(model.graph, config), self._split)
        baseline = self._done[self._asked][0].graph if self._done else model.graph
        ratio = latency_ratio(model.graph, baseline, self._split.images[:1], input_range=config.input_range)
        found = Trial(
            settings=settings_of(config, self._asked),
            figures=figures,
            size_bytes=len(write_tflite(model.graph)),
            latency_ratio=ratio,
        )
        self._done[config] = model, found
        self.notify(f"tried {found.sentence()}")
        return found

    def model(self, config: SchemeConfig) -> QuantizedModel:
        """The network of a configuration that was tried."""
        return self._done[config][0]

    def best(self) -> SchemeConfig:
        """The configuration that is nearest to the limits so far, the first of equals."""
        return min(self._done, key=lambda config: self._done[config][1].figures.distance)

    def result(self, config: SchemeConfig) -> SearchResult:
        """Close the search on a configuration."""
        model, trial = self._done[config]
        trials = tuple(entry[1] for entry in self._done.values())
        verdict = "meets" if trial.meets else "is the nearest, but does not meet"
        note = (
            f"`auto` tried {len(trials)} settings on {len(self._split)} validation images; "
            f"{trial.sentence()} {verdict} {self._limit}"
        )
        return SearchResult(
            model=replace(model, notes=(*model.notes, note)),
            config=config,
            trials=trials,
            met=trial.meets,
            chosen=trial,
            images=len(self._split),
        )


def _remedies(config: SchemeConfig) -> Iterator[SchemeConfig]:
    wide = config.precision != "int8"
    for method in OBSERVERS:
        if method != config.calibration_method and not (wide and method in {"entropy", "mse"}):
            yield replace(config, calibration_method=method)
    if not wide:
        for more in (("equalize",), ("bias-correction",), ("equalize", "bias-correction"), ("adaround",)):
            if not set(more) <= set(config.improvements):
                yield replace(config, improvements=tuple(dict.fromkeys((*config.improvements, *more))))


def _keep_float(
    trials: _Trials, graph: Graph, base: SchemeConfig, calibration: npt.NDArray[np.uint8]
) -> SchemeConfig | None:
    model = trials.model(base)
    ranked = [layer.name for layer in diagnose(model.source or graph, model, calibration).layers]
    known = {layer_name(graph, op) for op in graph.ops}
    kept: list[str] = []
    for name in (name for name in dict.fromkeys(ranked) if name in known):
        kept.append(name)
        if trials.trial(_with(base, kept)).meets:
            break
    else:
        return None
    for name in kept[:-1]:
        fewer = [other for other in kept if other != name]
        if trials.trial(_with(base, fewer)).meets:
            kept = fewer
    return _with(base, kept)


def _with(base: SchemeConfig, names: list[str]) -> SchemeConfig:
    patterns = tuple(dict.fromkeys((*base.keep_float, *(exact_pattern(name) for name in names))))
    return replace(base, keep_float=patterns)


def settings_of(config: SchemeConfig, asked: SchemeConfig) -> str:
    """The parameters that a configuration adds to those that were given."""
    words = []
    if config.calibration_method != asked.calibration_method:
        words.append(parameter("calibration_method", config.calibration_method))
    words += [parameter(name, True) for name in config.improvements if name not in asked.improvements]
    more = [name for name in config.keep_float if name not in asked.keep_float]
    if more:
        words.append(parameter("keep_float", more))
    return " ".join(words)
