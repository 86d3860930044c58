"""Post-training quantization, and the float precisions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mnist_export.core.kinds import Precision
from mnist_export.pipeline.jobs.option import Option
from mnist_export.pipeline.methods.method import Method, QuantizedNetwork, rewritten, with_rewrites

if TYPE_CHECKING:
    from mnist_export.core.graph import Graph
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.pipeline.jobs.progress import Progress
    from mnist_export.pipeline.methods.method import Source
    from mnist_export.quantize import SchemeConfig

_NAMED: Final = 12


def _make(job: Job, source: Source, _progress: Progress) -> QuantizedNetwork:
    from mnist_export.quantize import quantize

    graph, applied = rewritten(job, source.graph)
    scheme, notes = _with_floats(job, graph)
    network = quantize(graph, scheme, source.calibration.array if source.calibration else None)
    network = replace(network, notes=(*network.notes, *notes))
    return QuantizedNetwork(network=with_rewrites(network, applied))


def _with_floats(job: Job, graph: Graph) -> tuple[SchemeConfig, tuple[str, ...]]:
    """The scheme, with layers that have no integer form left in float, and a note that names them."""
    if job.full_integer or job.scheme.precision not in {Precision.INT8, Precision.INT16X8}:
        return job.scheme, ()
    from mnist_export.quantize.network.layers import literal_names
    from mnist_export.quantize.network.work import share_sentence
    from mnist_export.quantize.post_training.in_float import layers_without_integers, operators_in_float

    names = layers_without_integers(graph, job.scheme.precision)
    if not names:
        return job.scheme, ()
    scheme = replace(job.scheme, keep_float=(*job.scheme.keep_float, *names))
    literal = replace(scheme, keep_float=literal_names(graph, scheme.keep_float))
    kept = operators_in_float(graph, literal)
    verb = "stays" if len(names) == 1 else "stay"
    listed = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return scheme, (
        f"no integer form: {listed} {verb} in float32 between codes ({len(kept)} of {len(graph.ops)} "
        f"operators, {share_sentence(graph, kept)}); `full_integer` refuses "
        f"{'it' if len(names) == 1 else 'them'}",
    )


METHOD = Method(
    title="post-training quantization",
    wanted=lambda _job: True,
    make=_make,
    options=(
        Option(
            name="calibration_samples",
            help="training images that set the ranges, stratified by class (default 300)",
            kind=int,
            default=300,
            metavar="N",
        ),
        Option(
            name="calibration_method",
            help="how ranges are chosen: minmax (default), percentile, entropy, mse",
            kind=str,
            default="minmax",
            metavar="M",
            known=("minmax", "percentile", "entropy", "mse"),
        ),
        Option(name="per_tensor", help="one weight scale a layer, not one a channel"),
        Option(name="per_tensor_dense", help="the same for dense layers only, as some targets need"),
        Option(name="symmetric", help="activations with zero point 0"),
        Option(name="reduce_range", help="7-bit weights, for CPUs without VNNI instructions"),
        Option(
            name="keep_float",
            help="layers (or globs) that stay in float",
            kind=str,
            default=(),
            metavar="LAYER",
            many=True,
        ),
        Option(
            name="full_integer",
            help="refuse layers that have no integer form (otherwise they stay in float)",
        ),
        Option(name="equalize", help="share out weight ranges between neighbouring layers"),
        Option(name="bias_correction", help="take each channel's mean error out of its bias"),
        Option(name="adaround", help="learn each weight's rounding direction"),
        Option(name="debug_layers", help="each layer's error, ranked, and what to do about it"),
    ),
)
