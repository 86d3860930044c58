"""Ways to quantize: a literal table. Adding one is one module and one line here.

The first entry that a job asks for makes the network; the last one takes every job.
"""

from __future__ import annotations

from mnist_export.core.registry import LazyRegistry
from mnist_export.pipeline.jobs.option import Option
from mnist_export.pipeline.methods.method import Method

_HERE = "mnist_export.pipeline.methods"

METHODS: LazyRegistry[Method] = LazyRegistry(
    "quantization method",
    {
        "exact": f"{_HERE}.exact:METHOD",
        "trained": f"{_HERE}.trained:METHOD",
        "searched": f"{_HERE}.searched:METHOD",
        "post-training": f"{_HERE}.post_training:METHOD",
    },
)


def method_options() -> tuple[Option, ...]:
    """The options of every way to quantize, in the order of the table."""
    return tuple(option for name in METHODS for option in METHODS.get(name).options)
