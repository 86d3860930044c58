"""Generated C: compiled by every compiler on this machine, checked against the integers and by sanitizers."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import pairwise

import numpy as np
import pytest

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.kinds import Precision
from mnist_export.export.c_format import CExporter
from mnist_export.export.c_names import identifier
from mnist_export.export.c_plan import plan_steps
from mnist_export.export.c_selftest import golden_images
from mnist_export.export.c_steps import steps_of
from mnist_export.export.request import ExportRequest
from mnist_export.quantize.exact import quantize_exact
from mnist_export.quantize.exact.arithmetic import run_graph
from mnist_export.quantize.network.scheme import SchemeConfig
from mnist_export.runtime.runners.compiled import run_compiled
from mnist_export.runtime.runners.opening import open_runner

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
CHECKED = ("-O1", "-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")
WAYS = [
    ("-O0",),
    ("-O2",),
    ("-O3",),
    ("-O3", "-march=native"),
    *((*way, f"-DLENET_KERNELS={kernels}") for kernels in (0, 1, 2) for way in (("-O2",), CHECKED)),
]
ARM = "arm-none-eabi-gcc"
QEMU = "qemu-system-arm"

needs_compiler = pytest.mark.skipif(not COMPILERS, reason="no C compiler on this machine")


def request_of(name="lenet", **more):
    return ExportRequest(name=name, class_names=tuple("0123456789"), source_sha256="0" * 64, **more)


def write(folder, model, request):
    files = {f"net{e}": c for e, c in CExporter().export(model, request).items()}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return files


@pytest.fixture(scope="module")
def everything(net_builder):
    """A network with every operator that C can be generated for."""
    net = net_builder((12, 12, 3), seed=8)
    x = net.conv(0, 6, 3, stride=2, name="strided")
    x = net.add(x, net.conv(x, 6, act=0, name="branch"), act=1, name="residual")
    x = net.concatenate(x, net.conv(x, 3, dilation=2, act=3, name="dilated"), name="joined")
    x = net.depthwise(net.pad(x), multiplier=2, same=False, act=1, name="wide")
    x = net.pool(x, size=3, stride=2, same=True, name="pooled")
    x = net.pool(x, "AVERAGE_POOL_2D", 3, stride=1, name="mean3")
    graph = net.graph(net.dense(net.dense(net.flatten(x), 7, act=1, name="hidden"), 5))
    images = np.random.default_rng(0).integers(0, 256, (32, 12, 12, 3), dtype=np.uint8)
    return quantize_exact(graph, images, None, SchemeConfig(precision=Precision.INT8))


@needs_compiler
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("flags", WAYS, ids=lambda f: " ".join(f) or "default")
@pytest.mark.parametrize("which", ["exact_lenet", "everything"])
def test_the_self_test_passes(request, tmp_path, compiler, flags, which):
    write(tmp_path, request.getfixturevalue(which), request_of(stem="net"))
    command = [compiler, *STRICT, *flags, "-o", "check", "net.c", "net.selftest.c"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([str(tmp_path / "check")], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "8 images, 0 answers differ" in ran.stdout


@needs_compiler
@pytest.mark.parametrize("which", ["exact_lenet", "everything"])
def test_compiled_answers_are_the_integers_of_the_graph(request, which):
    model = request.getfixturevalue(which)
    files = CExporter().export(model, request_of(stem="net"))
    shape = model.graph.tensors[model.graph.inputs[0]].shape[1:]
    images = np.random.default_rng(3).integers(0, 256, (200, *shape), dtype=np.uint8)
    images[0], images[1] = 0, 255
    expected = run_graph(model.graph, images)[model.graph.outputs[0]]
    np.testing.assert_array_equal(run_compiled(files[".c"], files[".h"], images), expected)


@needs_compiler
def test_the_makefile_builds_and_checks(tmp_path, exact_lenet):
    if shutil.which("make") is None:
        pytest.skip("no make on this machine")
    write(tmp_path, exact_lenet, request_of(stem="net"))
    done = subprocess.run(
        ["make", "-f", "net.mk", "check"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_compiler
def test_a_32_bit_program_gives_the_same_integers(tmp_path, everything):
    probe = tmp_path / "probe.c"
    probe.write_text("#include <stdio.h>\nint main(void) { return 0; }\n")
    if subprocess.run(
        ["gcc", "-m32", str(probe), "-o", str(tmp_path / "probe")], capture_output=True, check=False
    ).returncode:
        pytest.skip("gcc cannot build 32-bit programs on this machine")
    files = CExporter().export(everything, request_of(stem="net"))
    images = np.random.default_rng(4).integers(0, 256, (50, 12, 12, 3), dtype=np.uint8)
    expected = run_graph(everything.graph, images)[everything.graph.outputs[0]]
    found = run_compiled(files[".c"], files[".h"], images, flags=[*STRICT, "-m32", "-O2"])
    np.testing.assert_array_equal(found, expected)


TWO_AT_ONCE = """
#include <pthread.h>
#include <string.h>
#include "net.h"

static uint8_t images[2][LENET_PIXELS];
static int8_t alone[2][LENET_CLASSES];
static lenet_context contexts[2];
static int wrong[2];

static void *work(void *which)
{
    int number = *(int *)which, turn;
    for (turn = 0; turn < 300; turn++) {
        int8_t logits[LENET_CLASSES];
        (void)lenet_run(&contexts[number], images[number], logits);
        wrong[number] += memcmp(logits, alone[number], sizeof logits) != 0;
    }
    return 0;
}

int main(void)
{
    pthread_t threads[2];
    int numbers[2] = {0, 1}, i, j;
    for (i = 0; i < 2; i++) {
        for (j = 0; j < LENET_PIXELS; j++) images[i][j] = (uint8_t)(j * (37 + 11 * i));
        (void)lenet_run(&contexts[i], images[i], alone[i]);
    }
    for (i = 0; i < 2; i++) pthread_create(&threads[i], 0, work, &numbers[i]);
    for (i = 0; i < 2; i++) pthread_join(threads[i], 0);
    return wrong[0] || wrong[1] || memcmp(alone[0], alone[1], sizeof alone[0]) == 0;
}
"""


@needs_compiler
@pytest.mark.parametrize("kernels", [0, 1, 2])
def test_calls_with_contexts_of_their_own_may_run_at_one_time(tmp_path, exact_lenet, kernels):
    write(tmp_path, exact_lenet, request_of(stem="net"))
    (tmp_path / "main.c").write_text(TWO_AT_ONCE)
    flags = ["-O1", "-g", "-fsanitize=thread", f"-DLENET_KERNELS={kernels}", "-DLENET_NO_STATIC", "-pthread"]
    command = ["gcc", "-std=c99", *flags, "-o", "main", "main.c", "net.c"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([str(tmp_path / "main")], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_compiler
def test_a_macro_places_the_static_context(tmp_path, exact_lenet):
    write(tmp_path, exact_lenet, request_of(stem="net"))
    place = '-DLENET_ARENA=__attribute__((section(".fast_ram")))'
    command = [COMPILERS[0], *STRICT, "-O2", place, "-c", "net.c", "-o", "net.o"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    listed = subprocess.run(
        ["objdump", "-h", "net.o"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    (line,) = [text for text in listed.stdout.splitlines() if ".fast_ram" in text]
    header = (tmp_path / "net.h").read_text()
    (stated,) = re.findall(r"_ARENA_BYTES (\d+)", header)
    assert int(line.split()[2], 16) == int(stated)


STARTUP = """
extern int main(void);
extern unsigned __bss_start__, __bss_end__, __data_start__, __data_end__, __data_load__;
extern void exit(int);
extern void initialise_monitor_handles(void);
void _init(void) {}
void _fini(void) {}
void reset(void)
{
    unsigned *p, *from = &__data_load__;
    for (p = &__data_start__; p < &__data_end__; p++) *p = *from++;
    for (p = &__bss_start__; p < &__bss_end__; p++) *p = 0;
    initialise_monitor_handles();
    exit(main());
}
__attribute__((section(".vectors"), used)) static void *const vectors[] = {(void *)0x20010000, (void *)reset};
"""
LAYOUT = """
MEMORY { FLASH (rx) : ORIGIN = 0, LENGTH = 4M  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 4M }
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) *(.init*) *(.fini*) } > FLASH
  .ARM.exidx : { *(.ARM.exidx*) } > FLASH
  __data_load__ = LOADADDR(.data);
  .data : { __data_start__ = .; *(.data*) . = ALIGN(4); __data_end__ = .; } > RAM AT > FLASH
  . = 0x20020000;
  .bss : { __bss_start__ = .; *(.bss*) *(COMMON) . = ALIGN(4); __bss_end__ = .; } > RAM
  end = .;
}
"""


@pytest.mark.skipif(not (shutil.which(ARM) and shutil.which(QEMU)), reason="no Arm compiler or emulator here")
@pytest.mark.parametrize("which", ["exact_lenet", "everything"])
def test_a_cortex_m_gives_the_same_integers(request, tmp_path, which):
    write(tmp_path, request.getfixturevalue(which), request_of(stem="net"))
    (tmp_path / "startup.c").write_text(STARTUP)
    (tmp_path / "layout.ld").write_text(LAYOUT)
    command = [ARM, *STRICT, "-O2", "-mcpu=cortex-m3", "-mthumb", "-c", "net.c", "net.selftest.c"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    command = [
        ARM, "-mcpu=cortex-m3", "-mthumb", "--specs=rdimon.specs", "-nostartfiles", "-T", "layout.ld", "-o",
        "net.elf", "startup.c", "net.o", "net.selftest.o",
    ]  # fmt: skip
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    ran = subprocess.run(
        [QEMU, "-machine", "mps2-an385", "-nographic", "-semihosting", "-kernel", "net.elf"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "8 images, 0 answers differ" in ran.stdout, ran.stdout + ran.stderr
    assert ran.returncode == 0


def test_generated_code_neither_allocates_nor_uses_floating_point(exact_lenet):
    files = CExporter().export(exact_lenet, request_of(stem="net"))
    text = (files[".c"] + files[".h"]).decode("ascii")
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    assert not re.search(r"\b(float|double|malloc|calloc|free|long)\b", code)
    assert re.findall(r"#include [<\"](.+)[>\"]", code) == ["net.h", "stdint.h"]
    for array in re.findall(
        r"^static (?!uint8_t arena|void|int32_t dot|uint8_t requantize)(.*)\[", code, re.MULTILINE
    ):
        assert array.startswith("const ")


def test_the_same_network_gives_the_same_bytes(exact_lenet):
    first, second = (CExporter().export(exact_lenet, request_of(stem="net")) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lenet5-mnist", "lenet5_mnist"),
        ("5 net", "model_5_net"),
        ("int", "model_int"),
        ('a*/ int evil(void); /*"', "a_int_evil_void"),
        ("\u6a21\u578b", "model"),
        ("", "model"),
        ("x" * 500, "x" * 48),
    ],
)
def test_any_name_becomes_an_identifier(name, expected):
    assert identifier(name) == expected


@needs_compiler
@pytest.mark.parametrize(
    "name", ['a*/ #error "x', "while", "9\n#include </etc/passwd>", "\u0442\u0435\u0441\u0442"]
)
def test_hostile_names_never_reach_the_code(tmp_path, exact_lenet, name):
    write(tmp_path, exact_lenet, request_of(name, stem="net"))
    command = [COMPILERS[0], *STRICT, "-fsyntax-only", "net.c", "net.selftest.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "net.c").read_text() + (tmp_path / "net.h").read_text()
    assert f" {name}_predict" not in text


def test_activations_that_live_at_one_time_never_share_bytes(everything):
    graph = everything.graph
    steps = steps_of(graph)
    need = 5
    plan, scratch = plan_steps(graph, steps, [need] * len(steps))
    born, dies = {}, {}
    for time, step in enumerate(steps):
        born.setdefault(plan.root[step.output], time)
        for index in (*step.op.inputs, step.output):
            if index in plan.root:
                dies[plan.root[index]] = time
    dies[plan.root[graph.outputs[0]]] = len(steps)

    def span(root):
        start = plan.offsets[root]
        return start, start + int(np.prod(graph.tensors[root].shape[1:]))

    for time in range(len(steps)):
        alive = [span(root) for root in plan.offsets if born[root] <= time <= dies[root]]
        assert scratch[time] % 4 == 0
        taken = sorted([*alive, (scratch[time], scratch[time] + need)])
        assert all(end <= start for (_, end), (start, _) in pairwise(taken)), time
    ends = [*(span(root)[1] for root in plan.offsets), *(first + need for first in scratch)]
    assert plan.size_bytes == -(-max(ends) // 4) * 4


def test_the_self_tests_images_are_the_ones_the_c_code_draws():
    images = golden_images(784)
    state = (12345 * 1664525 + 1013904223) % 2**32
    assert images[0, 0] == state >> 24
    assert set(np.unique(images[1])) <= {0, 255}
    assert len({image.tobytes() for image in images}) == len(images)


@needs_compiler
def test_a_c_file_answers_like_any_other_file_where_it_is_trusted(tmp_path, exact_lenet, digits):
    write(tmp_path, exact_lenet, request_of(stem="net"))
    with pytest.raises(UnsupportedError, match="`trust=True`"):
        open_runner(tmp_path / "net.c")
    images = digits.test.images[:20]
    with open_runner(tmp_path / "net.c", trust=True) as runner:
        logits = runner.run(images)
    codes = run_graph(exact_lenet.graph, images)[exact_lenet.graph.outputs[0]]
    np.testing.assert_array_equal(logits, exact_lenet.output_quant.dequantize(codes))


def test_other_precisions_are_refused(exact_lenet):
    from dataclasses import replace

    with pytest.raises(UnsupportedError, match="`exact=True`"):
        CExporter().export(replace(exact_lenet, precision=Precision.FLOAT32), request_of())
