"""The stages of a run: timed, and said as they begin."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mnist_export.pipeline.jobs.progress import Bar, Progress


@dataclass(kw_only=True)
class Stages:
    """Times each stage and says when it begins.

    Attributes:
        progress: told what is being done.
        total: how many stages there are.
        seconds: stage to seconds, in order.
    """

    progress: Progress
    total: int
    seconds: dict[str, float] = field(default_factory=dict)
    _bar: Bar | None = None

    @contextmanager
    def bar(self) -> Iterator[None]:
        """Show a bar over the stages while the block runs."""
        with self.progress.bar(self.total) as self._bar:
            yield

    @contextmanager
    def stage(self, name: str, doing: str) -> Iterator[None]:
        """Run one stage.

        Args:
            name: its key in the report's timings.
            doing: what is being done, for the bar and with -v.
        """
        if self._bar is not None:
            self._bar.describe(doing)
        self.progress.detail(doing)
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
        if self._bar is not None:
            self._bar.advance()
