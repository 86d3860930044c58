"""The lab's devices with fakes where the real thing cannot be: QEMU's version, apt, ssh, Chromium, Vela."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.runtime.devices import board, debian, emulator, ethos_u, kept, npm, registry
from mnist_export.runtime.devices.bare_c import arena_of, driver_for
from mnist_export.runtime.devices.board import board_of
from mnist_export.runtime.devices.browser import Page, open_page
from mnist_export.runtime.devices.cross_c import CORTEX_M4
from mnist_export.runtime.devices.device import Question


def _program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path


def _question(**more) -> Question:
    given = {
        "label": "net.tflite",
        "content": b"x",
        "format": "tflite",
        "batch": np.zeros((3, 4), np.int8),
        "classes": 2,
        "output_type": np.dtype(np.int8),
    }
    return Question(**(given | more))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_EXPORT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_every_device_can_be_loaded_and_says_why_it_is_not_ready():
    for name in registry.DEVICES:
        device = registry.DEVICES.get(name)
        assert device.name == name
        assert device.why_not_ready()
        assert device.formats
        assert device.title
        assert device.needs


def test_an_old_qemu_is_one_line(tmp_path, monkeypatch):
    _program(tmp_path / "bin", "qemu-aarch64", 'echo "qemu-aarch64 version 7.2.11"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(debian, "why_no_debian", lambda: "needs apt-get")
    assert "expected QEMU 8 or later, found 7" in emulator.why_no_emulator("aarch64")
    with pytest.raises(InputError, match=r"found 7 .*cannot be fetched: needs apt-get"):
        emulator.prepare_emulator("cortex-a72", "aarch64", lambda _text: None)


def test_a_new_qemu_of_the_machine_is_taken(tmp_path, monkeypatch):
    own = _program(tmp_path / "bin", "qemu-aarch64", 'echo "qemu-aarch64 version 10.0.2"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert emulator.emulator("aarch64") == own


def test_a_machine_without_apt_is_told_what_is_needed(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert "needs apt-get and dpkg-deb and tar" in debian.why_no_debian()


def test_a_cut_off_fetch_of_packages_leaves_nothing_ready(tmp_path, monkeypatch, cache):
    _program(tmp_path / "bin", "apt-get", 'echo "E: Connection timed out" >&2; exit 100')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("MNIST_EXPORT_DEBIAN", "file:///nowhere/debian")
    monkeypatch.setattr(debian, "why_no_debian", lambda: "")
    monkeypatch.setattr(debian, "_keyring", lambda: tmp_path / "keys.gpg")
    folder = kept.KeptFolder(name="toy", contents=("python3",))

    def fill(_folder):
        debian.fetch_packages("toy", ["python3"], "arm64", lambda _text: None, quiet=True)
        return {}

    with pytest.raises(InputError, match="toy: reading the list of packages failed: Connection timed out"):
        folder.make(fill)
    assert folder.problem() == "not prepared"
    assert {path.name for path in (cache / "devices").iterdir()} <= {".lock", ".downloads"}


def test_the_driver_is_for_the_networks_name_and_an_embedded_file_is_refused():
    header = b"#define NET_ARENA_BYTES 120\nint net_predict(const uint8_t p[4], int8_t l[2]);\n"
    source = driver_for(header, "net.c")
    assert "net_predict(pixels, scores)" in source
    assert "NET_PIXELS" in source
    assert "@" not in source
    assert arena_of(header) == 120
    with pytest.raises(UnsupportedError, match=r"holds a \.tflite"):
        driver_for(b"extern const unsigned char net_tflite[];", "net.c")
    with pytest.raises(UnsupportedError, match="runs c, not tflite"):
        CORTEX_M4.answer(_question())


_TOLD = """
Warning (supported operators) operator: DEQUANTIZE, ofm: 'logits'
Reason: Unsupported opType
CPU operators = 1 (1.8%)
   CPU: Passthrough = logits (outputs [1, 1, 1, 10])
NPU operators = 9 (98.2%)
"""


def test_what_vela_says_becomes_figures_and_a_sentence():
    summary = {
        "cycles_total": "82362.0",
        "core_clock": "500000000.0",
        "sram_memory_used": "9.671875",
        "dram_memory_used": "0.0",
        "on_chip_flash_memory_used": "0.0",
        "off_chip_flash_memory_used": "63.046875",
    }
    answer = ethos_u._answer(_TOLD, summary)
    assert answer.values is None
    assert answer.figures["cycles"] == "82,362"
    assert answer.figures["SRAM"] == "9.7 KiB"
    assert answer.figures["fall back"] == "DEQUANTIZE 'logits': Unsupported opType"
    assert "1 operators fall back" in answer.summary
    assert "165 us at 500 MHz" in answer.summary


def test_a_page_posts_back_and_a_browser_that_ends_is_one_line(tmp_path):
    script = tmp_path / "browser.py"
    script.write_text(
        "import sys, urllib.request as r\n"
        "url = sys.argv[-1].rsplit('/', 1)[0]\n"
        "body = r.urlopen(url + '/index.html').read()\n"
        "r.urlopen(r.Request(url + '/values', data=body[::-1]))\n"
        "r.urlopen(r.Request(url + '/done', data=b'{}'))\n"
        "import time; time.sleep(30)\n"
    )
    fake = _program(tmp_path / "bin", "chromium", f'exec {sys.executable} {script} "$@"')
    page = Page(content={"index.html": b"abc"}, folders={})
    posted = open_page("web", fake, page, wall_s=30, variables={})
    assert posted["values"] == b"cba"
    dies = _program(tmp_path / "bin", "dies", "exit 3")
    with pytest.raises(InputError, match="Chromium ended with code 3"):
        open_page("web", dies, Page(content={}, folders={}), wall_s=30, variables={})


def test_npm_without_a_network_says_why(tmp_path, monkeypatch):
    lines = "npm error network connect ECONNREFUSED", "npm error A complete log of this run is in: /x"
    script = 'case "$*" in *silent*) exit 1;; esac\n' + "\n".join(f'echo "{line}" >&2' for line in lines)
    _program(tmp_path / "bin", "npm", f"{script}\nexit 1")
    _program(tmp_path / "bin", "node", "exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(InputError, match="fetching the packages failed: npm error network connect ECONN"):
        npm.fetch_npm("web", ["toy@1.0.0"], tmp_path)


def test_a_page_cannot_read_outside_its_folders(tmp_path):
    from mnist_export.runtime.devices.browser import _found

    (tmp_path / "secret.js").write_text("no")
    inside = tmp_path / "packages"
    inside.mkdir()
    (inside / "a.js").write_text("yes")
    page = Page(content={}, folders={"packages": inside})
    assert _found(page, "packages/a.js") == (b"yes", "text/javascript")
    assert _found(page, "packages/../secret.js") is None
    assert _found(page, "other/a.js") is None


@pytest.mark.parametrize("name", ["ssh:", "ssh:-oProxyCommand=x", "ssh:a b", "ssh:;reboot"])
def test_a_host_that_is_none_is_refused(name):
    with pytest.raises(InputError, match="expected ssh:HOST"):
        board_of(name)


def test_a_board_that_does_not_answer_is_one_line(tmp_path, monkeypatch):
    _program(tmp_path / "bin", "ssh", 'echo "ssh: connect to host pi: No route to host" >&2; exit 255')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(InputError, match=r"ssh:pi does not answer \(ssh: connect to host pi") as raised:
        board_of("ssh:pi").prepare(lambda _text: None)
    assert "\n" not in str(raised.value)
    assert board_of("ssh:pi").why_not_ready() == "not prepared"


def test_a_board_s_answers_are_taken_back_to_integers():
    quant = QuantParams.per_tensor(0.25, 3)
    values = np.array([[-128, 5], [127, 0], [3, 4]], np.int8)
    question = _question(output_quant=quant)
    np.testing.assert_array_equal(board._integers(question, quant.dequantize(values), "ssh:pi"), values)
    with pytest.raises(InputError, match="do not lie on the file's output grid"):
        board._integers(question, quant.dequantize(values) + np.float32(0.1), "ssh:pi")


def test_a_file_goes_to_a_board_and_its_answers_come_back(tmp_path, monkeypatch):
    """``ssh`` is a shell on this machine; the rest is the real thing."""
    import mnist_export as mx
    from mnist_export.data import load_dataset
    from mnist_export.parity.on_devices import check_on_devices
    from mnist_export.runtime.runners.opening import open_runner

    made = mx.export(
        "lenet5", precision="int8", data="digits", output=tmp_path / "out", formats="tflite,onnx", on="none"
    )
    _program(tmp_path / "bin", "ssh", 'for last; do :; done\nexec /bin/sh -c "$last"')
    _program(tmp_path / "bin", "python3", f'exec {sys.executable} "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    monkeypatch.delenv("MNIST_EXPORT_CACHE")
    (device,) = registry.devices_of("--on", "ssh:localhost")
    device.prepare(lambda _text: None)
    assert device.why_not_ready() == ""
    split = load_dataset("digits").test.take(np.arange(40))
    with open_runner(made.artifacts["tflite"].path, trust=True) as runner:
        (row,) = check_on_devices([device], [runner], split, runner.run(split.images))
    assert (row.differing, row.values) == (0, 400)
    assert row.latency_us > 0


def test_a_program_of_another_processor_is_bounded():
    done = subprocess.run(
        emulator.bounded(["/bin/sh", "-c", "ulimit -v"]), capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == 16 << 20
