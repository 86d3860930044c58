"""MNIST: 70,000 handwritten digits (LeCun, Cortes, Burges, 1998)."""

from __future__ import annotations

from mnist_export.data.locate import PublishedLoader
from mnist_export.data.published import Published

load = PublishedLoader(
    Published(
        name="mnist",
        title="MNIST",
        class_names=tuple("0123456789"),
        sha256={
            "train-images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        mirrors=(
            "https://storage.googleapis.com/cvdf-datasets/mnist",
            "https://ossci-datasets.s3.amazonaws.com/mnist",
        ),
        folders=("mnist", "MNIST/raw"),
        keras_cache="mnist.npz",
    )
)
