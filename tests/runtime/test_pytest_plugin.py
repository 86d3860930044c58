"""The `parity` fixture in a user's own test of three lines."""

import importlib.metadata
import subprocess
import sys

import pytest

PLUGIN = "mnist_export.parity.pytest_plugin"


def run_pytest(folder, text):
    (folder / "test_user.py").write_text(text)
    installed = any(e.value == PLUGIN for e in importlib.metadata.entry_points(group="pytest11"))
    options = [] if installed else ["-p", PLUGIN]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "test_user.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def folder(models, tmp_path):
    models.write(tmp_path, "float.onnx", "int8.tflite", "int8.onnx")
    return tmp_path


def test_sound_files_pass_in_three_lines(folder):
    done = run_pytest(
        folder,
        "def test_parity(parity):\n"
        "    result = parity('float.onnx', 'int8.tflite', 'int8.onnx', data='digits')\n"
        "    assert result.candidates[0].parity.agreement > 0.99\n",
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_latency_is_measured_where_it_is_asked_for(folder):
    done = run_pytest(
        folder,
        "def test_parity(parity):\n"
        "    files = 'float.onnx', 'int8.tflite'\n"
        "    assert parity(*files, data='digits').candidates[0].latency_us is None\n"
        "    result = parity(*files, data='digits', isolate=True, trust=True)\n"
        "    assert result.timing == 'each in its own process'\n"
        "    assert result.candidates[0].vs_original.ratio > 0\n",
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_failing_verdict_fails_the_test_with_its_reason(folder):
    done = run_pytest(
        folder,
        "def test_parity(parity):\n    parity('float.onnx', 'int8.onnx', data='digits', max_drop=-60)\n",
    )
    assert done.returncode == 1
    assert "The drop is over the -60 pp allowed" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_missing_file_is_an_error_that_names_it(folder):
    done = run_pytest(
        folder, "def test_parity(parity):\n    parity('float.onnx', 'gone.onnx', data='digits')\n"
    )
    assert done.returncode == 1
    assert "gone.onnx: no such file" in done.stdout


def test_the_plugin_loads_nothing_until_it_is_used():
    code = f"import sys, {PLUGIN}; assert 'numpy' not in sys.modules and 'onnxruntime' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
