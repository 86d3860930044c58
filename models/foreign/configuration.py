"""Judges a model's configuration, as plain JSON, before anything is built from it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnist_export.data.limits import bad_file as refuse
from mnist_export.models.foreign import allowlist
from mnist_export.models.foreign.custom_code import NO_CODE, WAYS_OUT, CustomCode
from mnist_export.models.foreign.limits import (
    MAX_CONFIG_BYTES,
    MAX_CONFIG_DEPTH,
    MAX_LAYERS,
    MAX_NAME_CHARACTERS,
    MAX_NUMBER,
    quoted,
)
from mnist_export.models.foreign.operations import (
    check_constants,
    check_operation,
    from_operation_module,
)

_ADVICE = "Only models of plain Keras layers are read here."
# Keys whose numbers size nothing: seeds, axes and the like.
_FREE_NUMBERS = frozenset({"seed", "axis", "axes"})
# Keras 2 allowed slashes, in names of these characters; Keras 3 allows any other character instead.
_WITH_SLASHES = re.compile(r"[A-Za-z0-9_.\\/>-]+")


def parse_configuration(text: str | bytes, where: str | Path) -> dict[str, Any]:
    """Read a configuration's JSON.

    Raises:
        InputError: it is too long, too deep or no JSON object.
    """
    if len(text) > MAX_CONFIG_BYTES:
        raise refuse(
            where, f"a configuration of at most {MAX_CONFIG_BYTES >> 20} MiB", f"{len(text):,} bytes", _ADVICE
        )
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise refuse(where, "a model configuration", "JSON nested too deeply", _ADVICE) from error
    except ValueError as error:
        raise refuse(
            where, "a model configuration in JSON", "text that is none", "The file is damaged; save it again."
        ) from error
    if not isinstance(value, dict) or "class_name" not in value:
        raise refuse(
            where,
            "a model configuration with a class_name",
            "JSON without one",
            "Save the whole model with model.save('net.keras').",
        )
    return value


@dataclass(kw_only=True)
class _Judge:
    where: str | Path
    code: CustomCode = NO_CODE
    layers: int = 0
    kinds: set[str] = field(default_factory=set)

    def value(self, value: Any, key: str, depth: int) -> None:
        if depth > MAX_CONFIG_DEPTH:
            raise refuse(
                self.where,
                f"a configuration nested at most {MAX_CONFIG_DEPTH} deep",
                "a deeper one",
                _ADVICE,
            )
        if isinstance(value, dict):
            judged = self.object(value) if "class_name" in value else frozenset()
            for name, item in value.items():
                if name not in judged:
                    self.value(item, str(name), depth + 1)
        elif isinstance(value, list):
            for item in value:
                self.value(item, key, depth + 1)
        else:
            self.leaf(value, key)

    def leaf(self, value: Any, key: str) -> None:
        if isinstance(value, str):
            self.string(value, key)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            self.number(value, key)

    def object(self, value: dict[str, Any]) -> frozenset[str]:
        """Judge what it is; gives the keys whose values need no more judging."""
        kind, module = value["class_name"], value.get("module")
        config = value.get("config")
        name = config.get("name") if isinstance(config, dict) else None
        called = f"layer {quoted(name)}" if name else "an object"
        if not isinstance(kind, str):
            raise refuse(self.where, "class names", f"{called} of class {quoted(kind)}", _ADVICE)
        registered = value.get("registered_name")
        own = self.code.knows(config if kind == "function" and isinstance(config, str) else kind, registered)
        if own or (kind == "Lambda" and self.code.trust):
            self.layers += 1
            self.kinds.add(kind)
            return frozenset({"config"})  # the user trusts it
        if kind in allowlist.DANGEROUS:
            insist = ", or give `trust=True` to run it" if kind == "Lambda" else ""
            raise refuse(
                self.where,
                "layers without code of their own",
                f"{called} of class {kind}: {allowlist.DANGEROUS[kind]}",
                "Replace it with Keras layers (Rescaling, Activation...) and save again; or save it with "
                f"model.export('FOLDER') and open that SavedModel with `trust=True`{insist}.",
            )
        if not isinstance(module, (str, type(None))):
            raise refuse(self.where, "names of modules", f"{called} from module {quoted(module)}", _ADVICE)
        operation = from_operation_module(module)
        application = (module, kind) in allowlist.APPLICATION_LAYERS
        if operation:
            check_operation(value, called, self.where, self.leaf)
        elif kind in allowlist.TF_FUNCTIONS:
            self.tf_function(value, called)
        elif not application and (kind == "function" or kind not in allowlist.OBJECTS):
            raise refuse(
                self.where,
                "Keras's own layers for image classification",
                f"{called} of class {quoted(kind)}" + (f" from module {quoted(module)}" if module else ""),
                WAYS_OUT,
            )
        if not (operation or application or module is None or module in allowlist.MODULES):
            raise refuse(
                self.where, "classes of Keras itself", f"{called} from module {quoted(module)}", WAYS_OUT
            )
        if registered not in (None, "", kind):
            raise refuse(
                self.where,
                "classes of Keras itself",
                f"{called} registered as {quoted(registered)}",
                WAYS_OUT,
            )
        known = operation or application or kind in allowlist.LAYERS
        if (known or kind in allowlist.MODELS) and name is not None:
            self.name(name)
        if known or kind in allowlist.TF_FUNCTIONS:
            self.layers += 1
            self.kinds.add(kind)
            if self.layers > MAX_LAYERS:
                raise refuse(self.where, f"at most {MAX_LAYERS:,} layers", "more", _ADVICE)
        return frozenset({"inbound_nodes"}) if operation else frozenset()

    def name(self, name: Any) -> None:
        named = isinstance(name, str) and name.strip()
        if not named or ("/" in name and not _WITH_SLASHES.fullmatch(name)):
            raise refuse(
                self.where,
                "names of layers in printable characters",
                f"a layer called {quoted(name)}",
                "Rename the layer and save again.",
            )

    def tf_function(self, value: dict[str, Any], called: str) -> None:
        config = value.get("config")
        function = config.get("function") if isinstance(config, dict) else None
        if not isinstance(function, str) or function not in allowlist.TF_FUNCTIONS[value["class_name"]]:
            raise refuse(
                self.where,
                "plain arithmetic between layers",
                f"{called} that calls the TensorFlow function {quoted(function)}",
                "Replace it with a Keras layer (Add, Multiply, Activation...) and save again.",
            )
        check_constants(_numbers(value.get("inbound_nodes")), called, self.where)

    def string(self, value: str, key: str) -> None:
        if len(value) > MAX_NAME_CHARACTERS:
            raise refuse(
                self.where,
                f"names of at most {MAX_NAME_CHARACTERS} characters",
                f"one of {len(value):,} at {quoted(key)}",
                _ADVICE,
            )
        if not value.isprintable():
            raise refuse(
                self.where,
                "names of printable characters",
                f"{quoted(value)} at {quoted(key)}",
                "Rename the layer and save again.",
            )
        known = value in allowlist.ACTIVATIONS or value in self.code.objects
        if key in {"activation", "recurrent_activation"} and not known:
            raise refuse(self.where, "one of Keras's activations", f"activation {quoted(value)}", WAYS_OUT)
        if key == "dtype" and value not in allowlist.DTYPES:
            raise refuse(
                self.where,
                "layers that compute in float32",
                f"dtype {quoted(value)}",
                "Save the model with the float32 policy.",
            )

    def number(self, value: float, key: str) -> None:
        if key not in _FREE_NUMBERS and not -MAX_NUMBER <= value <= MAX_NUMBER:
            raise refuse(
                self.where,
                f"sizes of at most {MAX_NUMBER:,}",
                f"{key[:40]}={value:g}",
                "Such a model is far beyond an edge device.",
            )


def _numbers(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_numbers(item) for item in value.values())
    if isinstance(value, list):
        return sum(_numbers(item) for item in value)
    return int(isinstance(value, (int, float)))


def check_configuration(
    config: dict[str, Any], where: str | Path, code: CustomCode = NO_CODE
) -> frozenset[str]:
    """Refuse a configuration that holds anything but known layers in sensible sizes.

    Nothing is imported, built or called. What is not needed for building a model that computes
    (how it was compiled, how its layers were built) is removed from ``config`` before it is judged.

    Args:
        config: as `parse_configuration` gives it; changed in place.
        where: the file, for messages.
        code: the user's own layers, which may be in it.

    Returns:
        The kinds of layers in it.

    Raises:
        InputError: a Lambda or its like, a class or function from elsewhere, a size out of bounds, a
            name that is no name, another number format than float32.
    """
    _strip(config, 0, where)
    judge = _Judge(where=where, code=code)
    judge.value(config, "", 0)
    own = code.knows(str(config["class_name"]), config.get("registered_name"))
    if config["class_name"] not in allowlist.MODELS and not own:
        raise refuse(where, "a model", f"a single {quoted(config['class_name'])}", "Save the whole model.")
    if not judge.layers:
        raise refuse(where, "a model with layers", "none", "Save the whole model.")
    return frozenset(judge.kinds)


def _strip(value: Any, depth: int, where: str | Path) -> None:
    if depth > MAX_CONFIG_DEPTH:
        raise refuse(
            where, f"a configuration nested at most {MAX_CONFIG_DEPTH} deep", "a deeper one", _ADVICE
        )
    if isinstance(value, dict):
        for key in ("compile_config", "build_config", "shared_object_id"):
            value.pop(key, None)
        for item in value.values():
            _strip(item, depth + 1, where)
    elif isinstance(value, list):
        for item in value:
            _strip(item, depth + 1, where)
