"""The house: imports run one way along the flow, and light rooms stay light."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOW = ["core", "data", "train", "quantize", "export", "runtime", "report", "pipeline", "cli"]
LIGHT = ["core", "data", "runtime", "report", "pipeline", "cli", "api"]
HEAVY = {
    "tensorflow",
    "tf_keras",
    "keras",
    "tf2onnx",
    "onnx",
    "tensorflow_model_optimization",
    "matplotlib",
    "sklearn",
}


def imports(path: Path, *, top_level_only: bool) -> list[tuple[int, str]]:
    """Line and module of each import; those under ``if TYPE_CHECKING`` run nowhere and do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    nodes = tree.body if top_level_only else [n for n in ast.walk(tree) if id(n) not in typing_only]
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.lineno, node.module))
    return found


@pytest.mark.parametrize("room", FLOW)
def test_a_room_imports_only_from_rooms_before_it(room):
    # runtime takes files, not models: what it needs of training is the loader of originals, when asked.
    allowed = {"core", *FLOW[: FLOW.index(room) + 1]}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for line, module in imports(path, top_level_only=False)
        if module.startswith("mnist_export.") and module.split(".")[1] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", LIGHT)
def test_a_light_room_imports_nothing_heavy_at_the_top_of_a_module(room):
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for line, module in imports(path, top_level_only=True)
        if module.split(".")[0] in HEAVY
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_is_a_warehouse():
    long = {
        str(path.relative_to(ROOT)): lines
        for room in FLOW
        for path in (ROOT / room).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long


def test_every_package_is_listed_for_the_build_and_typed():
    listed = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for room in FLOW:
        for init in (ROOT / room).rglob("__init__.py"):
            folder = init.parent.relative_to(ROOT)
            name = "mnist_export." + ".".join(folder.parts)
            assert f'"{name}" = "{folder.as_posix()}"' in listed, name
            assert f'    "{name}",' in listed, name
            assert (init.parent / "py.typed").exists(), name
