"""Writes an exact network as one C99 header and one source: integers only, nothing allocated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Graph
from mnist_export.core.graph.operators import operator
from mnist_export.export.c_dot import REQUANTIZE
from mnist_export.export.c_kernels import KERNELS, Call
from mnist_export.export.c_names import rows
from mnist_export.export.c_plan import WORD, plan_steps
from mnist_export.export.c_steps import Step, steps_of
from mnist_export.export.c_text import filled
from mnist_export.quantize.exact.arithmetic import exponent, zero_point

_CTYPES = {"int8": "int8_t", "uint8": "uint8_t", "int32": "int32_t"}


@dataclass(frozen=True, kw_only=True)
class CSource:
    """Generated text.

    Attributes:
        header: the header's text.
        source: the source's text.
        arena_bytes: RAM for activations.
        weight_bytes: constants in flash.
        pixels: bytes of one image.
        classes: number of logits.
    """

    header: str
    source: str
    arena_bytes: int
    weight_bytes: int
    pixels: int
    classes: int


def generate(graph: Graph, name: str, header_name: str) -> CSource:
    """Write an exact graph as C.

    Args:
        graph: int8 throughout, every scale a power of two.
        name: a C identifier (see `c_names.identifier`).
        header_name: the header's file name, for the include.

    Raises:
        UnsupportedError: a layer that is not exact, by name.
    """
    writer = _Writer(graph, name)
    pixels = int(np.prod(graph.tensors[graph.inputs[0]].shape[1:]))
    classes = int(np.prod(graph.tensors[graph.outputs[0]].shape[1:]))
    upper, result = name.upper(), graph.tensors[graph.outputs[0]]
    places = {"NAME": name, "UPPER": upper, "PIXELS": pixels, "CLASSES": classes}
    places |= {"HEADER": header_name, "ARENA": writer.arena_bytes, "WEIGHTS": writer.weight_bytes}
    places |= {"EXPONENT": exponent(result), "ZERO": zero_point(result)}
    places |= {"CALLS": "\n".join(f"    {call}" for call in writer.calls)}
    places |= {"LAST": writer.place(graph.outputs[0])}
    source = "\n".join([filled(_HEAD, places), *writer.functions, *writer.constants, filled(_RUN, places)])
    return CSource(
        header=filled(_HEADER, places),
        source=source,
        arena_bytes=writer.arena_bytes,
        weight_bytes=writer.weight_bytes,
        pixels=pixels,
        classes=classes,
    )


class _Writer:
    """Turns operators into functions, constants and calls."""

    def __init__(self, graph: Graph, name: str) -> None:
        self._graph = graph
        self._wide = f"{name.upper()}_KERNELS"
        self.functions: list[str] = []
        self.constants: list[str] = []
        self.calls: list[str] = []
        self.weight_bytes = 0
        self._helpers: set[str] = set()
        self._known: dict[tuple[str, str | None], str] = {}
        steps = steps_of(graph)
        made = [(step, self._kernel(step)) for step in steps]
        needs = [max(call.scratch for call in calls) for _, calls in made]
        self.plan, scratch = plan_steps(graph, steps, needs)
        self.arena_bytes = self.plan.size_bytes
        if any(operator(step.op.kind).has_weights for step in steps):
            self.functions.append(REQUANTIZE)
        for (step, calls), first in zip(made, scratch, strict=True):
            for call in calls:
                self._write(step, call, first)

    def _kernel(self, step: Step) -> list[Call]:
        if step.op.kind not in KERNELS:
            target = self._graph.tensors[step.op.outputs[0]]
            raise UnsupportedError(
                f"C export: layer '{target.name}' uses {step.op.kind}, which has no C form here."
            )
        return KERNELS[step.op.kind](self._graph, step)

    def place(self, tensor: int) -> str:
        """The C expression for an activation's first byte."""
        root = self.plan.root[tensor]
        if root == self.plan.root[self._graph.inputs[0]]:
            return "pixels"
        offset = self.plan.offsets[root]
        return f"arena + {offset}" if offset else "arena"

    def _write(self, step: Step, call: Call, scratch: int) -> None:
        for text in call.helpers:
            if text not in self._helpers:
                self._helpers.add(text)
                self.functions.append(f"#if {self._wide} == 0\n{text}#endif\n")
        key = (call.wide, call.narrow)
        if key not in self._known:
            number = len(self._known)
            self._known[key] = f"{call.kind}{number}"
            names = {"NAME": self._known[key], "ID": number}
            wide, narrow = filled(call.wide, names), filled(call.narrow or "", names)
            both = f"#if {self._wide}\n{wide}#else\n{narrow}#endif\n" if narrow else wide
            self.functions.append(both)
        number = len(self.calls)
        arguments = [] if step.in_place else [self.place(i) for i in self._sources(step, call)]
        out = self.place(step.output)
        arguments.append(f"{out} + {call.offset}" if call.offset else out)
        for kind, values in zip(("weights", "bias", "shifts"), call.arrays, strict=False):
            self._array(f"{kind}{number}", values)
            arguments.append(f"{kind}{number}")
        if call.takes_scratch:
            arguments.append(f"words + {scratch // WORD}" if scratch else "words")
        self.calls.append(f"{self._known[key]}({', '.join(arguments)});")

    def _sources(self, step: Step, call: Call) -> list[int]:
        """The activations that a call reads."""
        inputs = step.op.inputs if call.source is None else [step.op.inputs[call.source]]
        return [index for index in inputs if index in self.plan.root]

    def _array(self, name: str, values: npt.NDArray[np.generic]) -> None:
        self.weight_bytes += values.nbytes
        kind = _CTYPES[str(values.dtype)]
        text = rows([str(v) for v in values.ravel().tolist()]).rstrip(",")
        self.constants.append(f"static const {kind} {name}[{values.size}] = {{\n{text}\n}};\n")


_HEADER = """\
/* Generated by mnist-export. */
#ifndef @UPPER@_H
#define @UPPER@_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define @UPPER@_PIXELS @PIXELS@
#define @UPPER@_CLASSES @CLASSES@
/* RAM for activations, and constants that may lie in flash, in bytes. */
#define @UPPER@_ARENA_BYTES @ARENA@
#define @UPPER@_WEIGHT_BYTES @WEIGHTS@
/* A score in real units is 2^EXPONENT * (logit - ZERO). */
#define @UPPER@_LOGIT_EXPONENT @EXPONENT@
#define @UPPER@_LOGIT_ZERO @ZERO@

/* What a call needs; it holds nothing between calls. Calls with contexts of their own may run at one time. */
typedef struct {
    uint32_t arena[@UPPER@_ARENA_BYTES / 4];
} @NAME@_context;

/*
 * Classify one image.
 *
 * pixels: raw grey values (or channels, interleaved) from 0 to 255, row by row.
 * logits: receives one score a class; the scores are the same integers on every machine.
 *
 * Returns the class with the highest score, the first of equals.
 */
int @NAME@_run(@NAME@_context *context, const uint8_t pixels[@UPPER@_PIXELS],
    int8_t logits[@UPPER@_CLASSES]);

#ifndef @UPPER@_NO_STATIC
/* The same with one static context, so not reentrant. */
int @NAME@_predict(const uint8_t pixels[@UPPER@_PIXELS], int8_t logits[@UPPER@_CLASSES]);
#endif

#ifdef __cplusplus
}
#endif

#endif
"""

_HEAD = """\
/*
 * Generated by mnist-export. Integers only; every constant is const and may lie in flash.
 *
 * Macros that a build may define:
 *   @UPPER@_KERNELS    how sums are made: 2 where the processor has dot products of bytes, 1 where it has
 *     vectors of 16-bit integers, 0 with integers of 32 bits alone. The answers are the same.
 *   @UPPER@_ARENA      what places the static context, such as __attribute__((section(".fast_ram"))).
 *   @UPPER@_NO_STATIC  leaves out the static context and @NAME@_predict.
 */
#include "@HEADER@"

#ifndef @UPPER@_KERNELS
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || defined(__ARM_FEATURE_MATMUL_INT8)
#define @UPPER@_KERNELS 2
#elif defined(__SSE2__) || defined(_M_X64) || defined(__ARM_NEON) || defined(_M_ARM64) || defined(__ALTIVEC__)
#define @UPPER@_KERNELS 1
#else
#define @UPPER@_KERNELS 0
#endif
#endif
#if defined(__GNUC__)
#define NOT_INLINE __attribute__((noinline)) /* registers are few: inlined, it would spill most of them */
#else
#define NOT_INLINE
#endif
#ifndef @UPPER@_ARENA
#define @UPPER@_ARENA
#endif

#if @UPPER@_KERNELS == 2
typedef uint8_t tap_t;
#elif @UPPER@_KERNELS == 1
typedef int16_t tap_t;
#endif
"""

_RUN = """\
int @NAME@_run(@NAME@_context *context, const uint8_t pixels[@UPPER@_PIXELS], int8_t logits[@UPPER@_CLASSES])
{
    uint32_t *words = context->arena;
    uint8_t *arena = (uint8_t *)words;
    const uint8_t *codes = @LAST@;
    int i, best = 0;

@CALLS@
    for (i = 0; i < @UPPER@_CLASSES; i++) {
        logits[i] = (int8_t)((int)codes[i] - 128);
        if (codes[i] > codes[best]) best = i;
    }
    return best;
}

#ifndef @UPPER@_NO_STATIC
int @NAME@_predict(const uint8_t pixels[@UPPER@_PIXELS], int8_t logits[@UPPER@_CLASSES])
{
    @UPPER@_ARENA static @NAME@_context context;
    return @NAME@_run(&context, pixels, logits);
}
#endif
"""
