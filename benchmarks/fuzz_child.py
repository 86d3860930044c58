"""One process of the fuzzing: mutates a seed file and gives it to the code that reads such files.

Says on stdout which case it is in and which part of the code, one line a case, so that whoever started it
knows what it died of. ``python`` is the product's own reading, where nothing but the product's own errors may
come out and where the process may not die; ``native`` is a runtime's loading and running of a file that
passed all checks, which the product does in a trial process first: a death there is contained.
"""

from __future__ import annotations

import faulthandler
import gzip
import io
import random
import resource
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mnist_export.core.errors import MnistExportError

MEMORY_BYTES = 8 << 30
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFC)


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A few random changes: bits, bytes, 32-bit numbers, pieces removed, doubled, swapped, cut off."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 3, 8, 30))):
        if not data:
            break
        place = rng.randrange(len(data))
        kind = rng.randrange(8)
        if kind <= 2:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 3:
            data[place] = rng.randrange(256)
        elif kind == 4:
            value = rng.choice((*EXTREMES, len(data), rng.getrandbits(32)))
            order = rng.choice(("little", "big"))
            data[place : place + 4] = (value & 0xFFFFFFFF).to_bytes(4, order)
        elif kind == 5:
            length = rng.randrange(1, 64)
            piece = data[place : place + length]
            other = rng.randrange(len(data))
            data[other:other] = piece
        elif kind == 6:
            del data[place : place + rng.randrange(1, 64)]
        elif rng.random() < 0.3:
            del data[place:]
    if data == content and data:
        data[rng.randrange(len(data))] ^= 0x10
    return bytes(data)


def mutated_archive(content: bytes, rng: random.Random) -> bytes:
    """Half of the time the archive's own bytes, else one member's content with sums that are right."""
    if rng.random() < 0.5:
        return mutated(content, rng)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    chosen = rng.choice(sorted(members))
    members[chosen] = mutated(members[chosen], rng)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return stream.getvalue()


def mutated_gzip(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        return mutated(content, rng)
    return gzip.compress(mutated(gzip.decompress(content), rng), 1)


def read_tflite(content: bytes, native: Callable[[], None]) -> None:
    from mnist_export.core.graph.tflite_reader import read_tflite as graph_of
    from mnist_export.runtime.foreign.tflite_check import check_tflite
    from mnist_export.runtime.runners.litert import LiteRtRunner
    from mnist_export.runtime.runners.sandbox_child import _noise

    check_tflite(content, label="f")
    graph_of(content)
    native()
    with LiteRtRunner(content, label="f") as runner:
        runner.invoke(_noise(runner, 1))


def read_onnx(content: bytes, native: Callable[[], None]) -> None:
    from mnist_export.runtime.foreign.onnx_check import check_onnx
    from mnist_export.runtime.runners.ort import OnnxRuntimeRunner
    from mnist_export.runtime.runners.sandbox_child import _noise

    check_onnx(content, label="f")
    native()
    with OnnxRuntimeRunner(content, label="f") as runner:
        runner.invoke(_noise(runner, 1))


def _with_file(content: bytes, name: str) -> Path:
    path = Path(tempfile.gettempdir()) / name
    path.write_bytes(content)
    return path


def read_idx(content: bytes, native: Callable[[], None]) -> None:
    from mnist_export.data.idx import read_idx_images

    read_idx_images(_with_file(content, "train-images-idx3-ubyte"))


def read_npz(content: bytes, native: Callable[[], None]) -> None:
    from mnist_export.data import load_dataset

    load_dataset(str(_with_file(content, "data.npz")), notify=lambda _: None)


def read_golden(content: bytes, native: Callable[[], None]) -> None:
    from mnist_export.runtime.runners.golden import load_golden

    load_golden(_with_file(content, "golden.npz"))


def read_image(content: bytes, native: Callable[[], None]) -> None:
    from mnist_export.data.pictures import picture_header, read_picture

    path = _with_file(content, "picture.png")
    read_picture(path, picture_header(path).size)


def read_keras(content: bytes, native: Callable[[], None]) -> None:
    from mnist_export.models.foreign.archive import read_archive
    from mnist_export.models.foreign.configuration import check_configuration, parse_configuration

    archive = read_archive(content, "f")
    check_configuration(parse_configuration(archive.config, "f"), "f")
    read_weights(archive.weights, native)


def read_h5(content: bytes, native: Callable[[], None]) -> None:
    from mnist_export.models.foreign.configuration import check_configuration, parse_configuration

    stored = read_weights(content, native)
    if "model_config" in stored.attributes:
        check_configuration(parse_configuration(stored.attributes["model_config"], "f"), "f")


def read_weights(content: bytes, native: Callable[[], None]):
    """Judge an HDF5 file, and read what was not refused, as Keras would."""
    import h5py

    from mnist_export.models.foreign import hdf5

    native()
    found = hdf5.inspect_hdf5(content, "f")
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            file.visititems(lambda _, item: item[()] if isinstance(item, h5py.Dataset) else None)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError):
        pass  # the product wraps what Keras raises on reading
    return found


def read_manifest(content: bytes, native: Callable[[], None]) -> None:
    from mnist_export.core.checksums import unseal

    unseal(content, "f")


READERS = {
    "tflite": (read_tflite, mutated),
    "onnx": (read_onnx, mutated),
    "idx": (read_idx, mutated),
    "idx.gz": (read_idx, mutated_gzip),
    "npz": (read_npz, mutated_archive),
    "golden": (read_golden, mutated_archive),
    "png": (read_image, mutated),
    "keras": (read_keras, mutated_archive),
    "h5": (read_h5, mutated),
    "manifest": (read_manifest, mutated),
}


def main(kind: str, seed_file: str, first: int, count: int) -> int:
    faulthandler.enable()
    read, mutate = READERS[kind]
    content = Path(seed_file).read_bytes()
    read(content, lambda: None)  # imports, and the seed itself is sound
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    np.seterr(all="ignore")
    for case in range(first, first + count):
        changed = mutate(content, random.Random(f"{kind} {case}"))
        sys.stdout.write(f"{case} python\n")
        sys.stdout.flush()

        def native(case: int = case) -> None:
            sys.stdout.write(f"{case} native\n")
            sys.stdout.flush()

        try:
            read(changed, native)
            outcome = "accepted"
        except MnistExportError:
            outcome = "refused"
        except MemoryError:
            outcome = "error:MemoryError"
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            outcome = f"error:{type(error).__name__}: {' '.join(str(error).split())[:100]}"
        sys.stdout.write(f"{case} {outcome}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
