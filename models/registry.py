"""The zoo: architecture names and the modules that build them; trainers by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mnist_export.core.errors import InputError
from mnist_export.core.registry import LazyRegistry, unknown_name
from mnist_export.models.recipe import Recipe


class Build(Protocol):
    """Builds a Keras 3 functional model that ends in logits."""

    def __call__(self, input_shape: tuple[int, ...] = (28, 28, 1), num_classes: int = 10) -> Any:
        """Build it.

        Args:
            input_shape: without the batch, such as ``(28, 28, 1)``.
            num_classes: width of the output.

        Returns:
            A ``keras.Model`` of float32 ``(n, *input_shape)`` to float32 ``(n, num_classes)``.
        """


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One member of the zoo.

    Attributes:
        name: as ``mnist-train`` and ``mnist-export -m`` take it.
        title: what it is, in one line.
        parameters: count for 28x28x1 images of ten classes.
        recipes: by name; the first is the default.
        seed_top1: the figure that the architecture's source reports on MNIST, a fraction of 1; None
            where it gives none.
        seed_note: under what conditions, or why there is none.
        build: makes the model.
    """

    name: str
    title: str
    parameters: int
    recipes: Mapping[str, Recipe]
    seed_top1: float | None
    seed_note: str
    build: Build

    def recipe(self, name: str | None = None) -> Recipe:
        """The recipe of that name, or the default.

        Raises:
            InputError: no such recipe.
        """
        if name is None:
            return next(iter(self.recipes.values()))
        if name not in self.recipes:
            raise unknown_name(f"recipe of {self.name}", name, self.recipes)
        return self.recipes[name]

    def build_for(self, input_shape: tuple[int, ...], num_classes: int) -> Any:
        """Build for other images or classes.

        Raises:
            InputError: the images are too small for the architecture, or the shape is no image's.
        """
        if len(input_shape) != 3 or min(input_shape) < 1 or num_classes < 2:
            raise InputError(
                f"architecture {self.name}: expected images (height, width, channels) and two classes or "
                f"more, found {input_shape} and {num_classes}. Choose other data with `data`."
            )
        from mnist_export.models.structure.engine import keras

        keras()
        try:
            return self.build(input_shape, num_classes)
        except ValueError as error:
            raise InputError(
                f"architecture {self.name}: expected images of about 28x28, found "
                f"{'x'.join(map(str, input_shape))}, too small for its layers. Use `data` with larger "
                "images, or the architecture mlp."
            ) from error


_HERE = "mnist_export.models.architectures"

ARCHITECTURES: LazyRegistry[Architecture] = LazyRegistry(
    "architecture",
    {
        "lenet5": f"{_HERE}.lenet5:LENET5",
        "mlp": f"{_HERE}.dense:MLP",
        "mlp512": f"{_HERE}.dense:MLP512",
        "dense1024": f"{_HERE}.dense:DENSE1024",
        "custom1": f"{_HERE}.custom:CUSTOM1",
        "custom2": f"{_HERE}.custom:CUSTOM2",
        "custom3": f"{_HERE}.custom:CUSTOM3",
        "custom4": f"{_HERE}.custom:CUSTOM4",
        "custom5": f"{_HERE}.custom:CUSTOM5",
        "cnn64": f"{_HERE}.cnn64:CNN64",
    },
)
