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
# # Why accuracy dropped
#
# A network loses accuracy in int8. This notebook finds the layer to blame, cures it, and shows that the cure holds. It needs no
# network connection: the data are scikit-learn's 1,797 handwritten digits, which come with the package.

# %%
import tempfile
from pathlib import Path

import mnist_export as mx
from mnist_export.data import load_dataset
from mnist_export.models.loading import load_model

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## A network with a fault that float does not see
#
# One channel of the first layer is made a thousand times larger, and the next layer divides by as much. In float the answers are the
# same. BatchNormalization behind a ReLU does the like to real networks, and so do channels that are rarely used.

# %%
model = load_model("lenet5", load_dataset("digits")).model
kernel, bias = model.get_layer("conv1").get_weights()
weights, later = model.get_layer("conv2").get_weights()
kernel[..., 0] *= 1000
bias[0] *= 1000
weights[:, :, 0, :] /= 1000
model.get_layer("conv1").set_weights([kernel, bias])
model.get_layer("conv2").set_weights([weights, later])

# %%
plain = mx.export(model, formats="tflite", precision="int8", data="digits", output=folder / "plain")
assert not plain.passed
plain

# %% [markdown]
# ## Is it chance?
#
# McNemar's exact test asks whether images that were lost and images that were won are split like a fair coin. A small p says no: the
# loss is real. Flips with a large margin are damage; with a small one the original was in doubt itself.

# %%
found = plain.report.artifacts[0]
print(f"drop {found.drop_pp:.2f} points, {found.flips} flips, McNemar's p = {found.mcnemar_p:.1e}")
assert found.mcnemar_p < 0.01

# %% [markdown]
# ## Which layer?
#
# `debug_layers` quantizes each layer alone, with everything else in float, and measures the error at the logits.

# %%
debugged = mx.export(
    model, formats="tflite", precision="int8", data="digits", output=folder / "debugged", debug_layers=True
)
layers = [layer for layer in debugged.report.artifacts[0].layers if layer.alone_sqnr_db is not None]
worst = sorted(layers, key=lambda layer: layer.alone_sqnr_db)[:3]
for layer in worst:
    print(f"{layer.name:8} alone leaves {layer.alone_sqnr_db:5.1f} dB at the logits")
assert worst[0].name == "conv1"

# %% [markdown]
# Each channel of its weights has a scale of its own, so the weights are not the matter. Its output has one scale for all channels: the large
# channel takes the range, and the others share a few steps.

# %% [markdown]
# ## The cure
#
# Equalization shares the factor out between the two layers. The float function stays the same; the channels become alike.

# %%
cured = mx.export(
    model, formats="tflite", precision="int8", data="digits", output=folder / "cured", equalize=True
)
assert cured.passed
print(cured.verdict)

# %% [markdown]
# Both runs side by side, as `mnist-parity compare` has them:

# %%
mx.compare(plain, cured, names=["plain", "equalized"])

# %% [markdown]
# What else there is, from calibration to training, with what each gained on real networks: `docs/quantize.md`; the same steps as
# commands: `docs/tutorials/accuracy-drop.md`.
