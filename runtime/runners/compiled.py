"""Compiles generated C with the machine's compiler and runs images through it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import ConversionError, UnsupportedError

FLAGS: Final = ("-std=c99", "-O3", "-Wall", "-Wextra", "-Werror", "-pedantic")
_TIMEOUT_S: Final = 1800

_DRIVER: Final = """\
#include <stdio.h>
#include "model.h"

int main(void)
{{
    static uint8_t pixels[{upper}_PIXELS];
    int8_t logits[{upper}_CLASSES];
    while (fread(pixels, 1, sizeof pixels, stdin) == sizeof pixels) {{
        (void){name}_predict(pixels, logits);
        if (fwrite(logits, 1, sizeof logits, stdout) != sizeof logits) return 1;
    }}
    return 0;
}}
"""


def compiler() -> str:
    """The machine's C compiler.

    Raises:
        UnsupportedError: there is none.
    """
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None:
        raise UnsupportedError("C: expected a compiler (cc, gcc or clang) on this machine, found none.")
    return found


def run_compiled(
    source: bytes, header: bytes, images: npt.NDArray[np.uint8], *, flags: Sequence[str] = FLAGS
) -> npt.NDArray[np.int8]:
    """Compile a generated network and classify images with it.

    Args:
        source: the ``.c`` file of an exact export.
        header: the ``.h`` file beside it.
        images: uint8 of shape (n, H, W, C).
        flags: for the compiler.

    Returns:
        int8 logits of shape (n, classes).

    Raises:
        UnsupportedError: no compiler, or not the C of an exact export.
        ConversionError: it does not compile, or the program fails.
    """
    text = header.decode("ascii")
    found = re.search(r"^int (\w+)_predict\(", text, re.MULTILINE)
    if found is None:
        raise UnsupportedError(
            'C: expected a header with a _predict function, as `exact=True` with `formats="c"` writes.'
        )
    name = found.group(1)
    with tempfile.TemporaryDirectory(prefix="mnist-export-c-") as folder:
        place = Path(folder)
        (place / "driver.c").write_text(_DRIVER.format(name=name, upper=name.upper()), encoding="ascii")
        driver = build(place, source, header, flags=flags, output="driver", more=["driver.c"])
        answers = _checked([str(driver)], place, np.ascontiguousarray(images).tobytes())
    return np.frombuffer(answers, np.int8).reshape(len(images), -1)


def build(
    folder: Path, source: bytes, header: bytes, *, flags: Sequence[str], output: str, more: Sequence[str] = ()
) -> Path:
    """Compile a generated network in a folder.

    Args:
        folder: where sources and output go.
        source: the ``.c`` file.
        header: the ``.h`` file, whatever the source calls it.
        flags: for the compiler.
        output: name of what is built.
        more: further sources in the folder.

    Returns:
        The path of what was built.

    Raises:
        UnsupportedError: no compiler.
        ConversionError: it does not compile.
    """
    include = re.sub(rb'#include "[^"]+"', b'#include "model.h"', source, count=1)
    (folder / "model.c").write_bytes(include)
    (folder / "model.h").write_bytes(header)
    _checked([compiler(), *flags, "-o", output, "model.c", *more], folder, b"")
    return folder / output


def _checked(command: list[str], folder: Path, feed: bytes) -> bytes:
    done = subprocess.run(
        command, cwd=folder, input=feed, capture_output=True, timeout=_TIMEOUT_S, check=False
    )
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace").strip()[:400]
        raise ConversionError(f"C: '{Path(command[0]).name}' failed with {done.returncode}: {reason}")
    return done.stdout
