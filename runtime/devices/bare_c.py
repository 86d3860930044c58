"""The program around a generated network for processors without an operating system's C library.

It reads images from standard input and writes scores, with the system calls that QEMU's user mode answers.
"""

from __future__ import annotations

import re
from typing import Final

from mnist_export.core.errors import UnsupportedError

_PREDICT: Final = re.compile(r"^int (\w+)_predict\(", re.MULTILINE)

_DRIVER: Final = r"""
#include <stddef.h>
#include <stdint.h>
#include "model.h"

#if defined(__riscv)
enum { READ = 63, WRITE = 64, EXIT = 93 };
static long call(long n, long a, long b, long c)
{
    register long a7 __asm__("a7") = n, a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
    return a0;
}
__asm__(".globl _start\n_start:\n .option push\n .option norelax\n la gp, __global_pointer$\n"
        " .option pop\n andi sp, sp, -16\n call begin\n");
#elif defined(__arm__)
enum { READ = 3, WRITE = 4, EXIT = 1 };
static long call(long n, long a, long b, long c)
{
    register long r0 __asm__("r0") = a, r1 __asm__("r1") = b, r2 __asm__("r2") = c, r3 __asm__("r3") = n;
    __asm__ volatile("push {r7}\n mov r7, r3\n svc 0\n pop {r7}"
                     : "+r"(r0) : "r"(r1), "r"(r2), "r"(r3) : "memory");
    return r0;
}
__asm__(".syntax unified\n.thumb\n.globl _start\n.thumb_func\n_start:\n bl begin\n");
#elif defined(__s390x__)
enum { READ = 3, WRITE = 4, EXIT = 1 };
static long call(long n, long a, long b, long c)
{
    register long r1 __asm__("r1") = n, r2 __asm__("r2") = a, r3 __asm__("r3") = b, r4 __asm__("r4") = c;
    __asm__ volatile("svc 0" : "+d"(r2) : "d"(r1), "d"(r3), "d"(r4) : "memory");
    return r2;
}
__asm__(".globl _start\n_start:\n aghi %r15, -160\n brasl %r14, begin\n");
#endif

void *memcpy(void *to, const void *from, size_t n)
{
    volatile unsigned char *a = to;
    const unsigned char *b = from;
    while (n--) *a++ = *b++;
    return to;
}
void *memset(void *to, int value, size_t n)
{
    volatile unsigned char *a = to;
    while (n--) *a++ = (unsigned char)value;
    return to;
}
void *memmove(void *to, const void *from, size_t n)
{
    volatile unsigned char *a = to;
    const unsigned char *b = from;
    if ((uintptr_t)a <= (uintptr_t)b)
        while (n--) *a++ = *b++;
    else
        while (n--) a[n] = b[n];
    return to;
}

static uint8_t pixels[@UPPER@_PIXELS];
static int8_t scores[@UPPER@_CLASSES];

static int whole(long number, int file, void *at, size_t size)
{
    size_t done = 0;
    while (done < size) {
        long got = call(number, file, (long)((char *)at + done), (long)(size - done));
        if (got <= 0) return 0;
        done += (size_t)got;
    }
    return 1;
}

__attribute__((noreturn, used)) void begin(void)
{
    long failed = 0;
    while (!failed && whole(READ, 0, pixels, sizeof pixels)) {
        (void)@NAME@_predict(pixels, scores);
        failed = !whole(WRITE, 1, scores, sizeof scores);
    }
    for (;;) call(EXIT, failed, 0, 0);
}
"""


def driver_for(header: bytes, label: str) -> str:
    """The program's source.

    Args:
        header: the ``.h`` file of an exact export.
        label: the file's name for messages.

    Raises:
        UnsupportedError: it declares no network: the C holds a .tflite.
    """
    found = _PREDICT.search(header.decode("ascii", "replace"))
    if found is None:
        raise UnsupportedError(
            f"{label}: holds a .tflite and no C of its own. Check the .tflite on tflm, or export with "
            "`exact=True` for plain C."
        )
    name = found.group(1)
    return _DRIVER.replace("@UPPER@", name.upper()).replace("@NAME@", name)


def arena_of(header: bytes) -> int | None:
    """Bytes of RAM for activations, as the header states them."""
    found = re.search(rb"_ARENA_BYTES (\d+)", header)
    return int(found[1]) if found else None
