"""Takes a picture of a page in Chromium: of a report, for the README, or to look at one's own work.

``python tools/screenshot.py exports/lenet5-mnist.int8.report.html docs/images/report.png`` takes a Chromium
of the machine, else that of the device ``web`` (``mnist-parity devices --prepare web``).
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from chromium import Chromium


def small(png: bytes) -> bytes:
    """The same picture in 256 colours."""
    from PIL import Image

    sink = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(sink, "PNG", optimize=True)
    return sink.getvalue()


def main() -> int:
    """Take the picture that the arguments describe."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("page", help="a file or an address")
    parser.add_argument("picture", type=Path, help="the .png to write, or a .pdf as it would be printed")
    parser.add_argument("--width", type=int, default=1100)
    parser.add_argument("--height", type=int, default=700)
    parser.add_argument("--dark", action="store_true", help="in the dark scheme")
    parser.add_argument("--phone", action="store_true", help="a phone's screen, 390x844")
    parser.add_argument("--whole", action="store_true", help="the whole page, not only its top")
    given = parser.parse_args()
    page = given.page if "://" in given.page else Path(given.page).resolve().as_uri()
    width, height = (390, 844) if given.phone else (given.width, given.height)
    with Chromium(width=width, height=height, dark=given.dark, touch=given.phone) as browser:
        browser.open(page)
        paper = given.picture.suffix == ".pdf"
        content = browser.pdf() if paper else small(browser.picture(whole=given.whole))
    given.picture.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
