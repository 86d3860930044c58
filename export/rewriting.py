"""Gives a network the form that one file's runtime is fastest with."""

from __future__ import annotations

from dataclasses import dataclass

from mnist_export.core.kinds import Format
from mnist_export.export import EXPORTERS
from mnist_export.quantize.network.scheme import QuantizedModel
from mnist_export.quantize.rewrites import TARGETS, Applied, Target, rewrite_for


@dataclass(frozen=True, kw_only=True, eq=False)
class RewrittenModel:
    """A network in the form of one file.

    Attributes:
        model: the network; its ``graph`` gives the same integers as the plain form's.
        target: the runtime that it is written for.
        applied: what changed; empty for the plain form.
    """

    model: QuantizedModel
    target: Target
    applied: tuple[Applied, ...] = ()

    def sentences(self) -> tuple[str, ...]:
        """What a report says: nothing of a plain form, else one sentence with what was done and its price."""
        if not self.applied:
            return ()
        done = "; ".join(f"{a.name} at {', '.join(a.layers)}" if a.layers else a.name for a in self.applied)
        first, last = self.applied[0], self.applied[-1]
        return (
            f"written for {self.target} ({done}): {first.operators[0]} operators became {last.operators[1]}, "
            f"constants {first.constant_bytes[0]} bytes {last.constant_bytes[1]}; the integers are those of "
            'the plain form (`target="portable"`)',
        )


def target_for(target: Target, fmt: Format) -> Target:
    """The one runtime that a format's file is written for.

    Args:
        target: what was asked for.
        fmt: the file's format.
    """
    return EXPORTERS.get(fmt).own_target if TARGETS.get(target).own else target


def rewritten(model: QuantizedModel, fmt: Format, target: Target | None = None) -> RewrittenModel:
    """Rewrite a network for one format's file.

    Args:
        model: the network in its plain form; it is not changed.
        fmt: the file's format.
        target: what the file is for; None means ``native``, each file for its own runtime.

    Raises:
        ConversionError: the rewritten network gave other integers.
        MissingExtraError: ``auto`` for ONNX without onnx.
    """
    if EXPORTERS.get(fmt).own_target == Target.PORTABLE:  # plain loops, and TFLM's kernels, have no fast form
        return RewrittenModel(model=model, target=Target.PORTABLE)
    asked = target or Target.NATIVE
    runtime = target_for(asked, fmt)
    choose = None
    if TARGETS.get(asked).measured:
        from mnist_export.export.tuning import measured

        choose = measured(fmt, runtime)
    made, applied = rewrite_for(model, runtime, choose=choose)
    return RewrittenModel(model=made, target=runtime, applied=applied)
