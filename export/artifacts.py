"""Writes all artifacts of a run and their manifest, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mnist_export.core.errors import InputError
from mnist_export.core.files import sha256_bytes, write_atomic
from mnist_export.core.graph.tflite_reader import read_tflite
from mnist_export.core.kinds import Format, IoType
from mnist_export.export import EXPORTERS
from mnist_export.export.audit import AuditResult, audit
from mnist_export.export.c_format import is_exact
from mnist_export.export.described import Described
from mnist_export.export.manifest import manifest_text
from mnist_export.export.request import ExportRequest, file_stem
from mnist_export.export.rewriting import rewritten
from mnist_export.export.targets import Deployment
from mnist_export.export.targets.operators import TABLES, require_operators
from mnist_export.quantize.network.scheme import QuantizedModel
from mnist_export.quantize.rewrites.target import Target


@dataclass(frozen=True, kw_only=True)
class WrittenArtifact:
    """One file on disk.

    Attributes:
        format: its format.
        path: where it is.
        sha256: hex hash.
        size_bytes: its size.
        audit: what is in it; None for C.
        notes: how its form differs from the plain one, in sentences.
    """

    format: Format
    path: Path
    sha256: str
    size_bytes: int
    audit: AuditResult | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WrittenRun:
    """All files of a run.

    Attributes:
        stem: their common beginning.
        artifacts: the artifacts, in the order of the formats.
        manifest: the manifest's path.
    """

    stem: str
    artifacts: tuple[WrittenArtifact, ...]
    manifest: Path


def tool_version() -> str:
    """This project's installed version, or ``"0"`` from a bare checkout."""
    try:
        return version("mnist-export")
    except PackageNotFoundError:
        return "0"


def write_artifacts(
    model: QuantizedModel,
    described: Described,
    formats: Sequence[Format],
    folder: Path,
    *,
    io: IoType | None = None,
    target: Target | None = None,
    opset: int | None = None,
    certify: Callable[[bytes, str], Mapping[str, Any]] | None = None,
    deployment: Deployment | None = None,
    beside: Callable[[str, Mapping[str, bytes]], Mapping[str, bytes]] | None = None,
) -> WrittenRun:
    """Write a network in every format, audit the bytes, and write them with a manifest.

    Nothing is written before every format was exported and passed its audit.

    Args:
        model: the network.
        described: names and hashes.
        formats: what to write.
        folder: the output folder.
        io: type of integer files' inputs and outputs; None takes each format's own.
        target: the runtime whose form each file gets; None means its own.
        opset: ONNX's version of operators; None takes the writer's own.
        certify: computes what the manifest says of each .tflite and .onnx file's exactness, from its bytes
            and its name.
        deployment: what the place that the files go to asks of them.
        beside: makes more files from the stem and the files, by name.

    Raises:
        UnsupportedError: a format cannot carry a layer.
        ConversionError: a file failed its audit.
        OutputError: the folder cannot be written.
        InputError: an output would overwrite the model that it came from.
    """
    stem = file_stem(described.name, described.data, model.precision, model.variant)
    request = ExportRequest(
        name=described.name,
        class_names=described.class_names,
        source_sha256=described.source_sha256,
        io=io,
        tool_version=tool_version(),
        opset=opset,
        stem=stem,
        batch=deployment.batch if deployment is not None else None,
        head=described.head,
        threshold=described.threshold,
        outputs=described.outputs,
    )
    files: dict[Path, bytes] = {}
    artifacts: list[WrittenArtifact] = []
    for fmt in formats:
        form = rewritten(model, fmt, target)
        written_as = EXPORTERS.get(fmt)().export(form.model, replace(request, target=form.target))
        for number, (extension, content) in enumerate(written_as.items()):
            path = folder / f"{stem}{extension}"
            files[path] = content
            if number:
                continue
            if deployment is not None and deployment.operators and not (fmt == Format.C and is_exact(model)):
                graph = read_tflite(content) if fmt == Format.TFLITE else form.model.graph
                label = f"{path.name}, {deployment.title}"
                require_operators(graph, TABLES[deployment.operators], label)
            audited = None
            if fmt in {Format.TFLITE, Format.ONNX}:
                audited = audit(content, fmt, model.precision, keep_float=model.keeps_float)
            artifacts.append(
                WrittenArtifact(
                    format=fmt,
                    path=path,
                    sha256=sha256_bytes(content),
                    size_bytes=len(content),
                    audit=audited,
                    notes=form.sentences(),
                )
            )
    if beside is not None:
        made = beside(stem, {path.name: content for path, content in files.items()})
        files |= {folder / name: content for name, content in made.items()}
    manifest = folder / f"{stem}.manifest.json"
    certificates = {
        item.path.name: certify(files[item.path], item.path.name)
        for item in artifacts
        if certify is not None and item.format in {Format.TFLITE, Format.ONNX}
    }
    text = manifest_text(
        model,
        described,
        request,
        {path.name: content for path, content in files.items()},
        certificates=certificates,
    )
    for path in (*files, manifest):
        if path.is_dir():
            raise InputError(f"{path}: a folder of that name is in the way. Choose another folder with -o.")
    write_atomic({**files, manifest: text.encode()})
    return WrittenRun(stem=stem, artifacts=tuple(artifacts), manifest=manifest)
