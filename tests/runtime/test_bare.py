"""The runtime room and mnist-parity work where TensorFlow, Keras, onnx and tf2onnx are not installed."""

import subprocess
import sys
import textwrap

_BLOCK = """
import sys
import importlib.abc

class Block(importlib.abc.MetaPathFinder):
    names = {"tensorflow", "keras", "tf_keras", "onnx", "tf2onnx", "scipy", "sklearn", "jax", "torch", "h5py"}
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"blocked: {name}", name=name)

sys.meta_path.insert(0, Block())
"""


def run_blocked(code, *arguments):
    script = _BLOCK + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_every_module_of_the_room_imports():
    done = run_blocked(
        """
        import importlib, pkgutil
        import mnist_export.runtime as room
        names = [module.name for module in pkgutil.walk_packages(room.__path__, "mnist_export.runtime.")]
        assert "mnist_export.runtime.timing.profile_litert" in names
        for name in names:
            importlib.import_module(name)
        import mnist_export.cli.parity, mnist_export.cli.parity_check, mnist_export.cli.parity_record
        assert not Block.names & set(sys.modules), Block.names & set(sys.modules)
        """
    )
    assert done.returncode == 0, done.stderr


def test_runners_answer_and_the_command_checks(models, tmp_path):
    paths = models.write(tmp_path, "float.onnx", "int8.tflite", "int8.onnx")
    done = run_blocked(
        """
        from mnist_export.cli.parity import main
        code = main(["check", *sys.argv[1:], "--data", "digits", "--no-latency", "-q", "--json"])
        assert not Block.names & set(sys.modules), Block.names & set(sys.modules)
        sys.exit(code)
        """,
        *paths,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert '"verdict": "pass"' in done.stdout


def test_a_keras_model_names_the_extra_to_install(models, tmp_path):
    import h5py  # the child that tries the file first has it; the command does not

    path = tmp_path / "model.h5"
    h5py.File(path, "w").close()
    done = run_blocked(
        """
        from mnist_export.cli.parity import main
        sys.exit(main(["check", *sys.argv[1:], "--data", "digits"]))
        """,
        str(path),
        *models.write(tmp_path, "int8.tflite"),
    )
    assert done.returncode == 2
    assert "mnist-export[convert]" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_answers_without_numpy():
    done = run_blocked(
        """
        from mnist_export.cli.parity import main
        assert main(["--help"]) == 0
        assert "numpy" not in sys.modules
        assert main(["check", "--help"]) == 0
        assert "numpy" not in sys.modules
        """
    )
    assert done.returncode == 0, done.stderr
