"""Opens SavedModel folders: only when they are trusted, since loading one runs what its author put in it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from mnist_export.data.limits import bad_file as refuse
from mnist_export.models.foreign.building import Built, check_weights
from mnist_export.models.foreign.frozen import freeze
from mnist_export.models.foreign.limits import MAX_FILE_BYTES, quoted
from mnist_export.models.structure.engine import tensorflow, tf_keras

_GRAPH = "saved_model.pb"
_SIGNATURES = ("serving_default", "serve")
# Operators that reach outside of the graph and that no classifier needs.
_REACHING = frozenset(
    {
        "WriteFile", "ReadFile", "MatchingFiles", "PyFunc", "PyFuncStateless", "EagerPyFunc",
        "LoadLibrary", "PrintV2", "WriteSummary", "Save", "ReaderReadV2", "WholeFileReaderV2", "RpcCall",
    }
)  # fmt: skip


def looks_like_savedmodel(path: Path) -> bool:
    """Whether a folder holds a saved_model.pb."""
    return path.is_dir() and (path / _GRAPH).is_file()


def folder_sha256(path: Path) -> str:
    """Hex SHA-256 over the names, sizes and bytes of all files in a folder, in the order of their names."""
    digest = hashlib.sha256()
    for file in sorted(item for item in path.rglob("*") if item.is_file()):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(path).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def open_savedmodel(path: Path, *, trust: bool) -> Built:
    """Load a SavedModel folder through tf_keras, or as a frozen function where Keras did not write it.

    Args:
        path: the folder.
        trust: whether its author is trusted.

    Raises:
        InputError: it is not trusted, damaged, or has no signature from images to classes.
    """
    reaching = _inspect(path)
    if not trust:
        found = f"one that also holds {', '.join(reaching)}" if reaching else "no `trust`"
        raise refuse(
            path,
            "`trust` for a SavedModel (loading one runs code that its author put into it)",
            found,
            "Give `trust=True` if you trust its author, or save it as net.keras.",
        )
    model = _with_keras(path) if (path / "keras_metadata.pb").is_file() else None
    if model is not None:
        check_weights(model, path)
        return Built(model=model, framework="tf_keras", notes=("SavedModel loaded with tf_keras (trusted)",))
    return Built(
        model=_frozen(path), framework="tf_keras", notes=("SavedModel's signature, frozen (trusted)",)
    )


def _inspect(path: Path) -> list[str]:
    """Parse the graph as data; returns the operators in it that reach outside of it.

    Raises:
        InputError: damaged, or without the tag that serving needs.
    """
    tensorflow()
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]
    from tensorflow.core.protobuf import saved_model_pb2

    graph = path / _GRAPH
    size = graph.stat().st_size
    if size > MAX_FILE_BYTES:
        raise refuse(path, f"a graph of at most {MAX_FILE_BYTES >> 20} MiB", f"{size:,} bytes", "")
    parsed = saved_model_pb2.SavedModel()
    try:
        parsed.ParseFromString(graph.read_bytes())
    except (DecodeError, RuntimeError, OSError) as error:
        raise refuse(
            path, f"a readable {_GRAPH}", f"damage ({quoted(error)})", "Copy it again from where it came."
        ) from error
    served = [meta for meta in parsed.meta_graphs if "serve" in meta.meta_info_def.tags]
    if not served:
        raise refuse(path, "a graph with the tag 'serve'", "none", "Save it with tf.saved_model.save.")
    found: set[str] = set()
    for meta in parsed.meta_graphs:
        nodes = list(meta.graph_def.node)
        for function in meta.graph_def.library.function:
            nodes.extend(function.node_def)
        found |= {node.op for node in nodes if node.op in _REACHING}
    return sorted(found)


def _with_keras(path: Path) -> Any | None:
    """Load it as a Keras model; None where it is one without layers of its own."""
    legacy = tf_keras()
    try:
        model = legacy.models.load_model(str(path), compile=False)
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError, ImportError):
        return None  # a subclassed model: its signature is used
    except Exception as error:  # TensorFlow's own error types derive from Exception alone
        raise _damaged(path, error) from error
    functional = isinstance(model, (legacy.Sequential, legacy.models.Model)) and hasattr(model, "inputs")
    return model if functional and model.inputs and model.outputs else None


def _frozen(path: Path) -> Any:
    tf = tensorflow()
    try:
        loaded = tf.saved_model.load(str(path))
        signatures = dict(loaded.signatures)
    except Exception as error:  # see _with_keras
        raise _damaged(path, error) from error
    names = [name for name in _SIGNATURES if name in signatures] or sorted(signatures)
    if not names:
        raise refuse(
            path,
            "a signature 'serving_default'",
            "none",
            "Save it with model.export(...) or tf.saved_model.save(..., signatures=...).",
        )
    return freeze(signatures[names[0]], loaded, path)


def _damaged(path: Path, error: Exception) -> Exception:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return refuse(
        path,
        "a whole SavedModel folder",
        f"damage ({quoted(lines[0] if lines else type(error).__name__)})",
        "Copy it again from where it came, with its variables folder.",
    )
