"""The calls of the Python interface: each does what the command of its name does, and prints nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_export.arguments import (
    data_of,
    model_path,
    names_of,
    opening_of,
    path_of,
    pixels_of,
    progress_of,
    quieted,
    range_text,
    scratch,
    words_of,
)
from mnist_export.result import Result

if TYPE_CHECKING:
    from mnist_export.arguments import Data, Numbers, Range
    from mnist_export.models.trained import Trained
    from mnist_export.parity.integer_check import IntegersResult
    from mnist_export.parity.integer_golden import IntegerGolden
    from mnist_export.runtime.runners.golden import Golden


def export(
    model: Any = "lenet5",
    *,
    formats: str | Sequence[str] | None = None,
    precision: str | None = None,
    int8: bool = False,
    io: str | None = None,
    data: Data = "auto",
    input_range: Range | None = None,
    mean: Numbers = None,
    std: Numbers = None,
    channels: str | None = None,
    preprocess: str | None = None,
    resize: str = "bilinear",
    output: str | Path = "exports",
    calibration_samples: int = 300,
    calibration_method: str = "minmax",
    seed: int = 0,
    per_tensor: bool = False,
    per_tensor_dense: bool = False,
    symmetric: bool = False,
    reduce_range: bool = False,
    keep_float: str | Sequence[str] = (),
    full_integer: bool = False,
    exact: bool = False,
    qat: int | None = None,
    sparsity: float | None = None,
    clusters: int | None = None,
    tune_epochs: int | None = None,
    distill: float | None = None,
    equalize: bool = False,
    bias_correction: bool = False,
    adaround: bool = False,
    debug_layers: bool = False,
    auto: bool = False,
    target: str | None = None,
    opset: int | None = None,
    no_rewrites: bool = False,
    max_drop: float | None = None,
    min_agreement: float | None = None,
    max_error: float | None = None,
    head: str = "auto",
    threshold: float | Sequence[float] | None = None,
    output_name: str | None = None,
    threads: int = 1,
    max_memory: float | None = None,
    until: str | None = None,
    on: str | Sequence[str] | None = None,
    trust: bool = False,
    custom: str | Path | None = None,
    architecture: str | None = None,
    junit: str | Path | None = None,
    summary: str | Path | None = None,
    page: str | Path | None = None,
    progress: bool = False,
    **more: Any,
) -> Result:
    """Quantize a Keras image classifier once, write it in several formats, and check the files.

    Does what ``mnist-export`` does; each keyword is the command's option of that name.

    Args:
        model: an architecture's name, a path to a .keras, .h5 or SavedModel, or a Keras model in memory. A
            model in memory is saved by Keras and read back.
        formats: of ``"tflite"``, ``"onnx"``, ``"c"``; one string may name several with commas. None is the
            target's, or ``"tflite"``.
        precision: ``"float32"`` (default), ``"float16"``, ``"dynamic"``, ``"int8"`` or ``"int16x8"``.
        int8: the same as ``precision="int8"``.
        io: type of an integer file's input and output.
        data: what ``--data`` takes; ``(x_train, y_train, x_test, y_test)`` with uint8 images of shape
            (n, height, width[, channels]) and integer labels of shape (n,), or numbers; or a `Dataset`.
        input_range: what pixel values 0 and 255 become for the model, such as ``(-1, 1)``; None is
            0,1, and is refused where another rule gives far better answers.
        mean: with ``std``: the model takes (pixel / 255 - mean) / std; one number or one a channel, in the
            model's order.
        std: see ``mean``; None is 1.
        channels: ``"rgb"`` or ``"bgr"``, the order in which the model takes colours.
        preprocess: the whole rule, as in keras.applications: ``"caffe"``, ``"torch"`` or ``"tf"``.
        resize: how pictures of a folder are brought to the model's size.
        output: the folder for the files.
        calibration_samples: training images that set the ranges.
        calibration_method: ``"minmax"``, ``"percentile"``, ``"entropy"`` or ``"mse"``.
        seed: chooses the calibration images.
        per_tensor: one weight scale a layer.
        per_tensor_dense: the same for dense layers only.
        symmetric: activations with zero point 0.
        reduce_range: 7-bit weights.
        keep_float: layers (or globs) that stay in float.
        full_integer: refuse layers that have no integer form; otherwise they stay in float.
        exact: the same integers on every runtime that computes in integers or float32, with a certificate.
        qat: epochs of quantization-aware training; None is without.
        sparsity: share of weights to prune, with training.
        clusters: distinct weights a layer, with training.
        tune_epochs: epochs of each step of pruning and clustering.
        distill: how much of the training follows the original's answers, 0 to 1.
        equalize: share out weight ranges between neighbouring layers.
        bias_correction: take each channel's mean error out of its bias.
        adaround: learn each weight's rounding direction.
        debug_layers: each layer's error, ranked.
        auto: search better ranges, then the fewest layers in float, that keep ``max_drop``.
        target: where the files go, such as ``"raspberry-pi"``, ``"web"`` or ``"tflm"``: chooses formats,
            form, types, batch and operators where they are left open; or a form of int8 files alone.
        opset: ONNX's version of operators, 13 to 21.
        no_rewrites: keep the operators as the converter gives them.
        max_drop: largest loss of top-1, percentage points (0.5).
        min_agreement: smallest share of equal labels, percent (99).
        max_error: largest error of outputs that are numbers; None allows an RMSE of 5 % of their spread.
        head: what the outputs are: ``"auto"``, ``"classes"``, ``"labels"`` (several sigmoids, each judged) or
            ``"values"`` (numbers).
        threshold: of one sigmoid: over it the second class is taken; of several: over it each label is on,
            one for all or one a label; None is 0.5.
        output_name: of a model of several outputs: only this one; None exports all and judges each.
        threads: of one inference.
        max_memory: GiB that the run may take; None is what the machine, or its container, has free.
        until: export the sub-model that ends at this layer.
        on: devices that the files are checked on too, such as ``"tflm,cortex-a72"``; ``"ready"`` for all
            that are, ``"none"`` for none.
        trust: run code that comes with the model or the data: a SavedModel's, ``custom``,
            ``data="FILE.py:function"``.
        custom: a Python file that defines the model's own layers.
        architecture: of a file of weights: the JSON of ``model.to_json()``, or an architecture's name.
        junit: write JUnit XML there.
        summary: append a Markdown summary there.
        page: a folder; a page that reads pictures with the int8 .onnx in a browser is written there.
        progress: say on stderr what is being done.
        **more: options that later versions of the command have.

    Raises:
        InputError: what the command would refuse with exit code 2; the output folder is as it was.
    """
    with quieted(progress), scratch() as folder:
        from mnist_export.core.side_files import SideFiles
        from mnist_export.pipeline.export import run_job
        from mnist_export.pipeline.request import job_with

        job = job_with(
            model=model_path(model, folder), format=None if formats is None else words_of(formats),
            precision=precision, int8=int8, io=io,
            data=data_of(data, seed, head),
            input_range=None if input_range is None else range_text(input_range),
            mean=mean, std=std, channels=channels, preprocess=preprocess,
            output=Path(output), resize=resize,
            calibration_samples=calibration_samples, calibration_method=calibration_method, seed=seed,
            per_tensor=per_tensor, per_tensor_dense=per_tensor_dense, symmetric=symmetric,
            reduce_range=reduce_range, keep_float=names_of(keep_float), full_integer=full_integer,
            exact=exact, qat=qat, sparsity=sparsity,
            clusters=clusters, tune_epochs=tune_epochs, distill=distill, equalize=equalize,
            bias_correction=bias_correction, adaround=adaround, debug_layers=debug_layers, auto=auto,
            target=target, opset=opset, no_rewrites=no_rewrites, max_drop=max_drop,
            min_agreement=min_agreement, max_error=max_error, head=head, threshold=threshold,
            output_name=output_name, threads=threads,
            max_memory=max_memory, until=until, trust=trust,
            custom=custom, architecture=architecture, on=None if on is None else words_of(on), **more,
        )  # fmt: skip
        side_files = SideFiles(junit=path_of(junit), summary=path_of(summary), page=path_of(page))
        return Result(run_job(job, progress_of(progress), side_files))


def check(
    reference: Any,
    candidates: str | Path | Sequence[str | Path],
    *,
    data: Data | None = None,
    images: int | None = None,
    max_drop: float | None = None,
    min_agreement: float | None = None,
    max_error: float | None = None,
    head: str = "auto",
    threshold: float | Sequence[float] | None = None,
    config: str | Path | None = None,
    input_range: Range | None = None,
    mean: Numbers = None,
    std: Numbers = None,
    channels: str | None = None,
    preprocess: str | None = None,
    kernels: str = "default",
    threads: int = 1,
    trust: bool = False,
    custom: str | Path | None = None,
    architecture: str | None = None,
    latency: bool = True,
    isolate: bool = False,
    on: str | Sequence[str] | None = None,
    progress: bool = False,
) -> Result | IntegersResult:
    """Compare exported files with their original, as ``mnist-parity check`` does.

    Args:
        reference: golden .npz (of answers, or of integers: each has to be equal), .keras, .h5, SavedModel,
            .tflite, .onnx, an architecture's name, or a Keras model in memory.
        candidates: .tflite and .onnx files.
        data: see `export`; None takes the recording's own, else ``"auto"``.
        images: only so many of the first test images.
        max_drop: largest loss of top-1, percentage points.
        min_agreement: smallest share of equal labels, percent.
        max_error: largest error of outputs that are numbers; None allows an RMSE of 5 % of their spread.
        head: what the outputs are, see `export`.
        threshold: of sigmoids, see `export`; None takes the files' own.
        config: thresholds from a parity.toml.
        input_range: what pixels 0 and 255 become for the reference; None takes the files' own.
        mean: see `export`.
        std: see `export`.
        channels: see `export`.
        preprocess: see `export`.
        kernels: of LiteRT or ONNX Runtime.
        threads: of one inference.
        trust: open SavedModels, and files without a trial run first; run ``custom`` and ``FILE.py:function``.
        custom: a Python file that defines the reference's own layers.
        architecture: of a reference that is a file of weights, see `export`.
        latency: whether to measure it.
        isolate: time each model in a process of its own.
        on: devices that the files are checked on too, such as ``"tflm,cortex-a72"``.
        progress: say on stderr what is being done.

    Raises:
        InputError: what the command would refuse with exit code 2.
    """
    with quieted(progress), scratch() as folder:
        from mnist_export.parity.thresholds import thresholds_from
        from mnist_export.pipeline.goldens import check_files
        from mnist_export.report.schema import Report

        files = [candidates] if isinstance(candidates, str | Path) else list(candidates)
        found = check_files(
            model_path(reference, folder), [str(path) for path in files],
            data=None if data is None else data_of(data, 0, head), images=images,
            thresholds=thresholds_from(
                config=path_of(config), max_drop=max_drop, min_agreement=min_agreement
            ),
            how=opening_of(
                head=head, threshold=threshold, max_error=max_error, kernels=kernels, threads=threads,
                pixels=pixels_of(input_range, mean, std, channels, preprocess), trust=trust,
                custom=custom, architecture=architecture,
            ),
            timed=latency, isolate=isolate,
            on=None if on is None else words_of(on), progress=progress_of(progress),
        )  # fmt: skip
        return Result(found) if isinstance(found, Report) else found


def record(
    model: Any,
    output: str | Path,
    *,
    data: Data = "auto",
    images: int | None = None,
    head: str = "auto",
    threshold: float | Sequence[float] | None = None,
    input_range: Range | None = None,
    mean: Numbers = None,
    std: Numbers = None,
    channels: str | None = None,
    preprocess: str | None = None,
    threads: int = 1,
    trust: bool = False,
    custom: str | Path | None = None,
    architecture: str | None = None,
    latency: bool = True,
    integers: bool = False,
    progress: bool = False,
) -> Golden | IntegerGolden:
    """Record a model's answers on the test images into a golden file, as ``mnist-parity record`` does.

    Args:
        model: see `check`.
        output: the .npz to write.
        data: see `export`.
        images: only so many of the first test images; with ``integers``, how many to keep (64).
        head: what the outputs are, see `export`.
        threshold: of sigmoids, see `export`.
        input_range: what pixels 0 and 255 become; None takes the file's own, else 0..1.
        mean: see `export`.
        std: see `export`.
        channels: see `export`.
        preprocess: see `export`.
        threads: of one inference.
        trust: open a SavedModel, which can run code; run ``custom`` and ``FILE.py:function``.
        custom: a Python file that defines the model's own layers.
        architecture: of a file of weights, see `export`.
        latency: whether to measure it.
        integers: keep an exported file's own integers; an output that ends in .h is C for a microcontroller.
        progress: say on stderr what is being done.

    Returns:
        The recording: float32 logits of shape (n, classes) and where they come from.

    Raises:
        InputError: what the command would refuse with exit code 2.
    """
    with quieted(progress), scratch() as folder:
        from mnist_export.pipeline.goldens import record_answers, record_golden

        spec, told = model_path(model, folder), progress_of(progress)
        pixels = pixels_of(input_range, mean, std, channels, preprocess)
        if integers:
            return record_golden(
                spec, Path(output), data=data_of(data, 0), images=images, progress=told, threads=threads,
                trust=trust, input_range=pixels,
            )  # fmt: skip
        how = opening_of(
            head=head, threshold=threshold, max_error=None, kernels="default", threads=threads, pixels=pixels,
            trust=trust, custom=custom, architecture=architecture,
        )  # fmt: skip
        return record_answers(
            spec, Path(output), data=data_of(data, 0, head), images=images, how=how, latency=latency,
            progress=told,
        )  # fmt: skip


def train(
    architecture: str = "lenet5",
    *,
    data: Data = "auto",
    recipe: str | None = None,
    trainer: str = "fit",
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    seed: int = 0,
    output: str | Path | None = None,
    progress: bool = False,
) -> Trained:
    """Train an architecture of the zoo, as ``mnist-train`` does.

    Args:
        architecture: such as ``"lenet5"``.
        data: see `export`.
        recipe: the recipe's name; None takes the architecture's default.
        trainer: ``"fit"`` or ``"loop"``.
        epochs: at most; None takes the recipe's.
        batch_size: images a step; None takes the recipe's.
        lr: learning rate; None takes the recipe's.
        seed: of everything random.
        output: a .keras file to write, with its card beside it; None writes none.
        progress: say on stderr what is being done.

    Returns:
        The Keras model, its training history and its model card.

    Raises:
        InputError: what the command would refuse with exit code 2.
    """
    with quieted(progress):
        from mnist_export.models.registry import ARCHITECTURES
        from mnist_export.models.saving import save_trained
        from mnist_export.pipeline.comparing import data_for
        from mnist_export.train.training import train_architecture

        told = progress_of(progress)
        chosen = ARCHITECTURES.get(architecture).recipe(recipe)
        trained = train_architecture(
            architecture,
            data_for(data_of(data, seed), None, None, told),
            recipe=chosen.with_changes(
                epochs=epochs, batch_size=batch_size, learning_rate=lr, augmentation=None
            ),
            trainer=trainer,
            seed=seed,
            progress=False,
            notify=told.note,
        )
        if output is not None:
            save_trained(trained, Path(output))
        return trained
