"""A headless Chromium that is told what to do over a pipe, by the DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import platform
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-pipe",
)  # fmt: skip


def find_chromium() -> tuple[Path, dict[str, str]] | None:
    """A Chromium of this machine, else that of the device ``web``, with its environment."""
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found), {}
    from mnist_export.runtime.devices.web import DEVICE

    own = DEVICE.kept.path / "chromium"
    if platform.system() == "Linux" and own.is_file():
        return own, {"LD_LIBRARY_PATH": str(own.parent / "libraries")}
    return None


class Chromium:
    """One page in a browser of its own.

    Attributes:
        console: what the page wrote to the console, and its errors.
        requests: the addresses that it asked for.
    """

    def __init__(
        self, *, width: int = 1100, height: int = 800, dark: bool = False, touch: bool = False
    ) -> None:
        """Start it.

        Args:
            width: of the page, CSS pixels; a phone's where it is under 520.
            height: the same.
            dark: prefer the dark scheme.
            touch: with a touch screen.

        Raises:
            RuntimeError: there is no Chromium on this machine.
        """
        found = find_chromium()
        if found is None:
            raise RuntimeError("no Chromium: install one, or run mnist-parity devices --prepare web")
        program, variables = found
        self.console: list[str] = []
        self.requests: list[str] = []
        self._loaded = False
        self._rest = b""
        self._last = 0
        self._folder = tempfile.mkdtemp(prefix="mnist-export-chromium-")
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()

        def connect() -> None:  # the protocol's descriptors are 3 and 4
            kept = os.dup(to_read), os.dup(to_write)
            os.dup2(kept[0], 3)
            os.dup2(kept[1], 4)

        self._process = subprocess.Popen(
            [str(program), *FLAGS, f"--user-data-dir={self._folder}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, **variables, "HOME": self._folder}, start_new_session=True, close_fds=False,
            preexec_fn=connect,  # noqa: PLW1509 - nothing of this program runs threads here
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._session = ""
        pages = self.call("Target.getTargets")["targetInfos"]
        page = next(one["targetId"] for one in pages if one["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2 if touch else 1, mobile=touch,
        )  # fmt: skip
        self.call("Emulation.setTouchEmulationEnabled", enabled=touch)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def __enter__(self) -> Chromium:
        """The browser itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it and delete its profile."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._read)
        os.close(self._write)
        shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, method: str, wall_s: float = 30.0, **parameters: Any) -> Any:
        """One call of the protocol.

        Raises:
            RuntimeError: the browser refuses it, ends, or does not answer in time.
        """
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        ends = time.monotonic() + wall_s
        while True:
            answer = self._receive(ends, method)
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _receive(self, ends: float, waiting: str) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not select.select([self._read], [], [], max(0.0, ends - time.monotonic()))[0]:
                raise RuntimeError(f"Chromium did not answer {waiting} in time")
            part = os.read(self._read, 1 << 20)
            if not part:
                raise RuntimeError(f"Chromium ended during {waiting}")
            self._rest += part
        first, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, what: dict[str, Any]) -> None:
        if event == "Runtime.consoleAPICalled":
            self.console.append(f"{what['type']}: {' '.join(str(a.get('value', '')) for a in what['args'])}")
        elif event == "Runtime.exceptionThrown":
            details = what["exceptionDetails"]
            self.console.append(
                f"exception: {details.get('exception', {}).get('description', details['text'])}"
            )
        elif event == "Log.entryAdded":
            self.console.append(f"{what['entry']['level']}: {what['entry']['text']}")
        elif event == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
        elif event == "Page.loadEventFired":
            self._loaded = True

    def open(self, address: str, wall_s: float = 30.0) -> None:
        """Open a page and wait until it is loaded."""
        self._loaded = False
        self.call("Page.navigate", url=address)
        ends = time.monotonic() + wall_s
        while not self._loaded:
            self._receive(ends, f"the loading of {address}")

    def evaluate(self, script: str, wall_s: float = 30.0) -> Any:
        """The value of a JavaScript expression, awaited where it is a promise."""
        found = self.call(
            "Runtime.evaluate", wall_s, expression=script, returnByValue=True, awaitPromise=True
        )  # fmt: skip
        if "exceptionDetails" in found:
            raise RuntimeError(f"{script[:80]}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait_for(self, condition: str, wall_s: float = 30.0) -> None:
        """Wait until an expression is true."""
        ends = time.monotonic() + wall_s
        while not self.evaluate(condition):
            if time.monotonic() > ends:
                raise RuntimeError(f"{condition} was not true in {wall_s:g} s; console: {self.console}")
            time.sleep(0.05)

    def picture(self, *, whole: bool = False) -> bytes:
        """A picture of the page, PNG: what the window shows, or all of it."""
        clip = {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}
        return base64.b64decode(
            self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **clip)["data"]
        )

    def pdf(self) -> bytes:
        """The page as it would be printed."""
        return base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True)["data"])
