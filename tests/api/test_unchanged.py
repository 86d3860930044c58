"""A call leaves the process's global state as it found it; here it is changed on purpose inside of one."""

from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
import warnings

import numpy as np
import pytest

from mnist_export.unchanged import unchanged

# In a process of its own: determinism and seeds would change other tests.
FIRST_IMPORT = """
import logging, warnings
import numpy  # brings filters of its own
from mnist_export.unchanged import unchanged
before = list(logging.root.handlers), list(warnings.filters)
with unchanged():
    from mnist_export.train.devices import seed_everything
    seed_everything(0)
    logging.basicConfig()
assert (list(logging.root.handlers), list(warnings.filters)) == before
from tensorflow.python.eager import context
from tensorflow.python.framework import config
import keras
assert context.context()._seed is None
assert not config.is_op_determinism_enabled()
assert logging.getLogger("tensorflow").level == logging.NOTSET
first = keras.random.uniform((4,))
assert abs(float(keras.random.uniform((4,))[0]) - float(first[0])) > 0
"""
USERS_OWN = """
import keras, logging, tensorflow as tf
from tensorflow.python.framework import config
from mnist_export.unchanged import unchanged

keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
keras.layers.Dense(1)
draws = []
for meddle in (False, True):
    keras.utils.set_random_seed(3)
    tf.random.uniform(())
    if meddle:
        with unchanged():
            from mnist_export.train.devices import seed_everything
            seed_everything(0)
            keras.utils.clear_session()
            keras.layers.Dense(1)
            assert logging.getLogger("tensorflow").level == logging.ERROR
            tf.random.uniform(())
    draws.append((float(tf.random.uniform(())), float(keras.random.uniform(()))))
assert draws[0] == draws[1], draws
assert keras.mixed_precision.dtype_policy().name == "mixed_bfloat16"
assert keras.layers.Dense(1).name == "dense_1"
assert not config.is_op_determinism_enabled()
assert logging.getLogger("tensorflow").level == logging.NOTSET
"""


def test_environment_seeds_logging_and_warnings_are_put_back(monkeypatch):
    monkeypatch.setenv("MINE", "1")
    handlers, filters = list(logging.root.handlers), list(warnings.filters)
    random.seed(5)
    np.random.seed(5)
    wanted = random.random(), np.random.rand()
    random.seed(5)
    np.random.seed(5)
    with unchanged():
        os.environ["MINE"] = "2"
        os.environ["THEIRS"] = "3"
        random.seed(6)
        np.random.seed(6)
        logging.root.addHandler(logging.StreamHandler())
        logging.root.setLevel(logging.DEBUG)
        warnings.simplefilter("ignore")
    assert (random.random(), np.random.rand()) == wanted
    assert (os.environ["MINE"], os.environ.get("THEIRS")) == ("1", None)
    assert (logging.root.handlers, warnings.filters) == (handlers, filters)
    assert logging.root.level != logging.DEBUG


def test_it_is_put_back_after_an_error_too():
    handlers = list(logging.root.handlers)
    with pytest.raises(KeyboardInterrupt), unchanged():
        logging.root.addHandler(logging.StreamHandler())
        os.environ["THEIRS"] = "3"
        raise KeyboardInterrupt
    assert logging.root.handlers == handlers
    assert "THEIRS" not in os.environ


@pytest.mark.parametrize("code", [FIRST_IMPORT, USERS_OWN], ids=["first import", "own settings"])
def test_tensorflow_and_keras_are_put_back(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
