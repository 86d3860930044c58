# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A first export
#
# A Keras classifier is quantized to int8 once, written as TFLite and ONNX, and checked against the original.
# Open this file in Jupyter with jupytext, or run it: `jupytext --to notebook --execute first_export.py`. It needs
# no network: the data are scikit-learn's 1,797 handwritten digits, which come with the package.

# %%
import tempfile
from pathlib import Path

import mnist_export as mx

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## Train, or bring your own
#
# `mx.train` trains an architecture of the zoo. A Keras model of your own works as well: pass the model itself, or
# the path of its `.keras` file.

# %%
trained = mx.train("mlp", data="digits", epochs=5)
print(f"{trained.card.parameters:,} parameters, validation top-1 {trained.card.validation.top1:.2%}")

# %% [markdown]
# ## Export
#
# One quantization gives one set of integers; both files are written from it. The result is a table: top-1 on the
# test images, what was lost against the original, the share of equal answers, and the time of one call.

# %%
result = mx.export(
    trained.model, formats=("tflite", "onnx"), precision="int8", data="digits", output=folder / "exports"
)
result

# %%
for file in result.files:
    print(
        f"{file.path.name}: {file.size_bytes:,} bytes, top-1 {file.top1:.2%}, drop {file.drop_pp:+.2f} points"
    )
assert result.passed

# %% [markdown]
# ## Check again, as CI does
#
# `mx.record` keeps the original's answers in one file. `mx.check` compares exported files with them on any machine,
# without TensorFlow.

# %%
trained.model.save(folder / "net.keras")
golden = folder / "golden.npz"
mx.record(folder / "net.keras", data="digits", output=golden)
checked = mx.check(golden, [file.path for file in result.files], data="digits")
assert checked.passed
checked

# %% [markdown]
# ## A check that can fail
#
# A file in which the signs of a fifth of the weights are flipped still loads and runs. The check notices: its
# answers are no longer the original's.

# %%
good = result.artifacts["tflite"].path
content = bytearray(good.read_bytes())
middle = len(content) // 2
content[middle : middle + 20_000] = bytes(byte ^ 0x80 for byte in content[middle : middle + 20_000])
damaged = folder / "damaged.tflite"
damaged.write_bytes(content)

failed = mx.check(golden, [damaged], data="digits")
assert not failed.passed
print(failed.verdict)
