"""Data: a name or a path becomes uint8 images, labels, class names, splits and their provenance."""

from __future__ import annotations

from mnist_export.data.dataset import Dataset, Provenance, Split
from mnist_export.data.loading import load_dataset
from mnist_export.data.splitting import calibration_images, stratified_sample

__all__ = ["Dataset", "Provenance", "Split", "calibration_images", "load_dataset", "stratified_sample"]
