"""The tables of this room: a new data set or file kind is one file and one line here."""

from __future__ import annotations

from mnist_export.core.registry import LazyRegistry
from mnist_export.data.request import NamedLoader, PathReader

DATASETS: LazyRegistry[NamedLoader] = LazyRegistry(
    "data set",
    {
        "mnist": "mnist_export.data.mnist:load",
        "fashion-mnist": "mnist_export.data.fashion_mnist:load",
        "digits": "mnist_export.data.digits:load",
    },
)

# Asked in this order; the first that accepts a path reads it.
READERS: LazyRegistry[PathReader] = LazyRegistry(
    "data reader",
    {
        "npz": "mnist_export.data.own_npz:READER",
        "table": "mnist_export.data.own_table:READER",
        "idx": "mnist_export.data.own_idx:READER",
        "images": "mnist_export.data.own_images:READER",
    },
)
