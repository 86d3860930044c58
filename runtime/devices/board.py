"""A real board over ssh: this tool's edge part runs there, on the board's own runtimes and clock."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.core.scratch import scratch_folder
from mnist_export.runtime.devices.device import Answer, Question
from mnist_export.runtime.devices.kept import KeptFolder
from mnist_export.runtime.runners.golden import load_golden

PREFIX: Final = "ssh:"
_HOST: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:-]*")
_SSH: Final = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15", "-T")
_ROOMS: Final = (
    "core", "data", "models", "train", "quantize", "export", "runtime", "parity", "report", "pipeline", "cli",
)  # fmt: skip
_ENDINGS: Final = (".py", ".json", ".html", ".css")
_MODULES: Final = "numpy, ai_edge_litert, onnxruntime, flatbuffers, pooch, tqdm, PIL, requests"
_PACKAGES: Final = (
    "numpy", "ai-edge-litert", "onnxruntime", "flatbuffers", "pooch", "tqdm", "pillow", "requests",
    "tomli; python_version<'3.11'", "backports.strenum; python_version<'3.11'",
)  # fmt: skip
_PREPARE_S: Final = 1_800.0
_WALL_S: Final = 3_600.0
_MOST_BYTES: Final = 256 << 20

# Once: the code into a folder that is renamed when it works; Python as it is there, or an environment.
_INSTALL: Final = """\
set -e
root="${{XDG_CACHE_HOME:-$HOME/.cache}}/mnist-export"; part="$root/{name}.part"; whole="$root/{name}"
if [ -e "$whole/ready" ]; then cat >/dev/null; exit 0; fi
rm -rf "$part"; mkdir -p "$part/code"; trap 'rm -rf "$part"' EXIT; tar -xz -C "$part/code"; cd "$part"
if python3 -c "import {modules}" 2>/dev/null; then ln -s "$(command -v python3)" python
else
  python3 -m venv venv
  venv/bin/python -m pip install --quiet --disable-pip-version-check {packages} >&2
  ln -s venv/bin/python python
fi
[ -d venv ] && p=venv/bin/python || p=python3
PYTHONPATH=code "$p" -m mnist_export.cli.parity --version >&2
touch ready; rm -rf "$whole"; mv "$part" "$whole"
"""
_CHECK: Final = """\
set -e
root="${{XDG_CACHE_HOME:-$HOME/.cache}}/mnist-export/{name}"
[ -e "$root/ready" ] || {{ echo "not prepared there" >&2; exit 9; }}
[ -d "$root/venv" ] && p="$root/venv/bin/python" || p=python3
export PYTHONPATH="$root/code"
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
tar -x -C "$folder"; cd "$folder"
"$p" -m mnist_export.cli.parity record {model} --data data.npz {range} --no-latency -o there.npz -q >&2
"$p" -m mnist_export.cli.parity check there.npz {model} --data data.npz {range} --json -q > check.json
tar -c there.npz check.json
"""


@dataclass(frozen=True, kw_only=True)
class Board:
    """A machine that ssh reaches without a password, with Python 3.10 or later.

    Attributes:
        host: as ssh takes it: a name of its configuration, or user@address.
    """

    host: str
    needs: str = "ssh without a password, tar and Python 3.10 or later there; LiteRT and ONNX Runtime"
    formats: tuple[str, ...] = ("tflite", "onnx")

    @property
    def name(self) -> str:
        """What the command line calls it."""
        return f"{PREFIX}{self.host}"

    @property
    def title(self) -> str:
        """What it is."""
        return f"the board {self.host}, its own LiteRT and ONNX Runtime"

    @property
    def kept(self) -> KeptFolder:
        """The note of this machine that the board was made ready with this version."""
        digest = hashlib.sha256()
        for name, content in _code():
            digest.update(f"{name}\n".encode() + content)
        host = re.sub(r"[^A-Za-z0-9]+", "-", self.host)
        return KeptFolder(name=f"board-{host}", contents=(self.host, digest.hexdigest()))

    def why_not_ready(self) -> str:
        """Say why it cannot answer now; empty where it was made ready (the board itself is not asked)."""
        return "needs ssh" if shutil.which("ssh") is None else self.kept.problem()

    def prepare(self, notify: Callable[[str], None], *, quiet: bool = False) -> None:
        """Copy the edge part to the board, install what it needs there where it is missing, try it.

        Raises:
            InputError: the board does not answer, or something is missing there.
        """
        del quiet

        def fill(_: Path) -> dict[str, Any]:
            notify(f"{self.name}: copying mnist-export's edge part, installing what it needs there")
            packages = shlex.join(_PACKAGES)
            script = _INSTALL.format(name=self._folder, modules=_MODULES, packages=packages)
            self._ssh("prepare it", script, _archive(_code(), mode="w:gz"), _PREPARE_S)
            return {"host": self.host}

        self.kept.make(fill)

    def answer(self, question: Question) -> Answer:
        """Record the file's answers there, check it there, and bring both back.

        Raises:
            UnsupportedError: the device does not read such files.
            InputError: the board does not answer, or what runs there fails.
        """
        if question.format not in self.formats or question.images is None:
            raise UnsupportedError(
                f"{question.label}: {self.name} reads {' and '.join(self.formats)}, not {question.format}."
            )
        model = f"model.{question.format}"
        sent = [(model, question.content), ("data.npz", _data(question))]
        flags, values = question.pixels[::2], question.pixels[1::2]
        stated = " ".join(f"{flag}={value}" for flag, value in zip(flags, values, strict=True))
        script = _CHECK.format(name=self._folder, model=model, range=stated)
        content = self._ssh("run it", script, _archive(iter(sent)), _WALL_S, label=question.label)
        with scratch_folder() as folder:
            try:
                with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                    for name in ("there.npz", "check.json"):
                        source = archive.extractfile(name)
                        if source is not None:
                            (folder / name).write_bytes(source.read())
                report: Any = json.loads((folder / "check.json").read_text(encoding="utf-8"))
            except (tarfile.TarError, KeyError, OSError, ValueError) as error:
                raise InputError(f"{question.label}: {self.name} sent back no whole answer.") from error
            logits = load_golden(folder / "there.npz").logits
        return Answer(values=_integers(question, logits, self.name), latency_us=_latency(report))

    @property
    def _folder(self) -> str:
        return f"board-{self.kept.contents[1][:12]}"

    def _ssh(self, what: str, script: str, feed: bytes, wall_s: float, label: str = "") -> bytes:
        where = f"{label}: {self.name}" if label else self.name
        command = [shutil.which("ssh") or "ssh", *_SSH, "--", self.host, f"sh -c {shlex.quote(script)}"]
        try:
            done = subprocess.run(command, input=feed, capture_output=True, timeout=wall_s, check=False)
        except subprocess.TimeoutExpired as error:
            raise InputError(f"{where} took over {wall_s:g} s to {what}. Is it alive?") from error
        except OSError as error:
            raise InputError(f"{where}: cannot start ssh ({error.strerror or error}).") from error
        if done.returncode == 255:
            reason = _last(done.stderr) or "ssh gave no reason"
            raise InputError(
                f"{where} does not answer ({reason}). Try: ssh -o BatchMode=yes {self.host} true"
            )
        if done.returncode:
            reason = _last(done.stderr) or f"code {done.returncode}"
            again = f" Run: mnist-parity devices --prepare {self.name}" if done.returncode == 9 else ""
            raise InputError(f"{where} cannot {what} ({reason}).{again}")
        if len(done.stdout) > _MOST_BYTES:
            raise InputError(f"{where} sent {len(done.stdout)} bytes, over {_MOST_BYTES >> 20} MiB.")
        output: bytes = done.stdout
        return output


def board_of(name: str) -> Board:
    """The board of a name such as ``ssh:pi@raspberrypi``.

    Raises:
        InputError: not a host that ssh takes.
    """
    host = name.removeprefix(PREFIX)
    if not _HOST.fullmatch(host):
        raise InputError(f"'{name}': expected ssh:HOST, such as ssh:pi@raspberrypi, found '{host}'.")
    return Board(host=host)


def _code() -> Iterator[tuple[str, bytes]]:
    """This package's own files, as paths below a folder for PYTHONPATH."""
    places = {"": find_spec("mnist_export"), **{room: find_spec(f"mnist_export.{room}") for room in _ROOMS}}
    for room, spec in places.items():
        if spec is None or spec.origin is None:
            continue
        folder = Path(spec.origin).parent
        files = folder.glob("*") if not room else folder.rglob("*")
        for path in sorted(files):
            if path.is_file() and path.suffix in _ENDINGS:
                yield str(Path("mnist_export", room, path.relative_to(folder))), path.read_bytes()
    own = version("mnist-export")
    about = f"Metadata-Version: 2.1\nName: mnist-export\nVersion: {own}\n"
    yield f"mnist_export-{own}.dist-info/METADATA", about.encode()


def _archive(files: Iterator[tuple[str, bytes]], mode: Any = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files:
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return buffer.getvalue()


def _data(question: Question) -> bytes:
    """The images as a data set: two training images (of noise) for each class say how many there are."""
    images, count = question.images, question.classes
    if images is None:
        raise InputError(f"{question.label}: a board takes images, found none.")
    labels = np.zeros(len(images), np.int64) if question.labels is None else question.labels
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (2 * count, *images.shape[1:]), dtype=np.uint8)
    np.savez_compressed(
        buffer, x_train=noise, y_train=np.arange(2 * count) // 2, x_test=images, y_test=labels
    )
    return buffer.getvalue()


def _integers(question: Question, logits: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    """The output's own values again: real ones lie on the output's grid."""
    expected = (len(question.batch), question.classes)
    if logits.shape != expected:
        raise InputError(
            f"{question.label}: expected answers of shape {expected} from {name}, found {logits.shape}."
        )
    quant = question.output_quant
    if quant is None:
        return logits.astype(question.output_type)
    steps = np.rint(logits.astype(np.float64) / float(np.ravel(quant.scale)[0]))
    values = (steps + int(np.ravel(quant.zero_point)[0])).astype(question.output_type)
    if not np.array_equal(quant.dequantize(values), logits):
        raise InputError(f"{question.label}: the answers of {name} do not lie on the file's output grid.")
    return values


def _latency(report: Any) -> float | None:
    try:
        value = report["artifacts"][0]["latency_us"]["p50"]
    except (KeyError, IndexError, TypeError):
        return None
    return float(value) if isinstance(value, (int, float)) else None


def _last(errors: bytes) -> str:
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip().removeprefix("error: ").rstrip(".")[:400] if lines else ""
