"""Drawing without a display: one style for all figures, PNG bytes out."""

from __future__ import annotations

import io
import warnings
from typing import Any

from mnist_export.core.errors import MissingExtraError

# A palette that colour-blind readers can tell apart (Okabe and Ito, "Color Universal Design", 2008).
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7F7F7F"
COLORS = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", RED, "#F0E442", "#000000", GREY, "#8C564B")


def new_figure(width: float, height: float) -> Any:
    """Make an empty matplotlib figure, sizes in inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "convert", "drawing figures") from error
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Any) -> bytes:
    """Render a figure; no time and no version in the file, so that the same figure has the same bytes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; the tables beside it have it in full.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure.savefig(buffer, format="png", metadata={"Software": None}, facecolor="white")
    return buffer.getvalue()


def plain_text(text: object) -> str:
    """Keep matplotlib from reading a name as mathematics, or a control character as a glyph."""
    from mnist_export.data.limits import shown

    return shown(text).replace("$", r"\$")


def show_image(axes: Any, image: Any) -> None:
    """Draw one uint8 image (height, width, channels) without axes."""
    grey = image.shape[-1] == 1
    axes.imshow(
        image[..., 0] if grey else image,
        cmap="gray" if grey else None,
        vmin=0,
        vmax=255,
        interpolation="nearest",
    )
    axes.set_xticks([])
    axes.set_yticks([])
