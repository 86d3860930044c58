"""The house: imports run one way along the flow, and light rooms stay light."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOW = [
    "core",
    "data",
    "models",
    "train",
    "quantize",
    "export",
    "runtime",
    "parity",
    "report",
    "pipeline",
    "search",
    "cli",
]
LIGHT = ["core", "data", "runtime", "parity", "report", "pipeline", "cli", "api"]
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


def name_of(path: Path, root: Path) -> str:
    return ".".join(["mnist_export", *path.relative_to(root).with_suffix("").parts]).removesuffix(".__init__")


def registered(tree: ast.AST) -> set[str]:
    """Modules that the entries of registries name, as ``"module:attribute"``."""
    texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return {found[0] for text in texts if (found := re.findall(r"^(mnist_export\.[\w.]+):\w+$", text))}


def house(root: Path, *, registries: bool = True) -> dict[str, set[str]]:
    """Module to the modules of this project that it imports, in functions and for types too.

    With ``registries``, an entry of a registry counts as an import of the module that it names.
    """
    files = {name_of(path, root): path for room in FLOW for path in (root / room).rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for name, path in files.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = registered(tree) if registries else set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                places = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {place for place in places if place in files} or {node.module}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
        graph[name] = {module for module in found if module in files and module != name}
    return graph


def room_of(module: str) -> str:
    return module.split(".")[1]


def arrows_back(graph: dict[str, set[str]]) -> list[str]:
    """Imports of a room further down the flow."""
    return [
        f"{module} imports {other}"
        for module, others in sorted(graph.items())
        for other in sorted(others)
        if FLOW.index(room_of(other)) > FLOW.index(room_of(module))
    ]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of names that reach one another."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += graph.get(name, ())
        return seen

    reach = {name: reached(name) for name in graph}
    groups = {
        tuple(sorted({name} | {other for other in reach[name] if name in reach.get(other, ())}))
        for name in graph
        if name in reach[name]
    }
    return [list(group) for group in sorted(groups)]


def folders(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same between folders: a folder's __init__ and its files are one."""
    packages = {name for name in graph if any(other.startswith(f"{name}.") for other in graph)}
    packages |= {name.rpartition(".")[0] for name in graph}

    def folder(name: str) -> str:
        return name if name in packages else name.rpartition(".")[0]

    found: dict[str, set[str]] = {folder(name): set() for name in graph}
    for name, others in graph.items():
        found[folder(name)] |= {folder(other) for other in others} - {folder(name)}
    return found


def test_rooms_import_from_rooms_before_them_only():
    assert not arrows_back(house(ROOT))


def test_no_two_files_or_folders_import_each_other():
    graph = house(ROOT, registries=False)
    assert not circles(graph)
    assert not circles(folders(graph))


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ({"core/a.py": "from mnist_export.data.b import c", "data/b.py": ""}, (1, 0, 0)),
        ({"data/a.py": "X = 'mnist_export.report.b:THING'", "report/b.py": ""}, (1, 0, 0)),
        ({"data/a.py": "def f():\n    from mnist_export.cli import b", "cli/b.py": ""}, (1, 0, 0)),
        (
            {"data/a.py": "import mnist_export.data.b", "data/b.py": "from mnist_export.data import a"},
            (0, 1, 0),
        ),
        (
            {
                "data/one/a.py": "from mnist_export.data.two.b import c",
                "data/one/d.py": "",
                "data/two/b.py": "from mnist_export.data.one import d",
            },
            (0, 0, 1),
        ),
        ({"data/a.py": "from mnist_export.data.one import b", "data/one/b.py": "import os"}, (0, 0, 0)),
    ],
)
def test_a_planted_arrow_or_circle_is_found(tmp_path, planted, found):
    for name, text in planted.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    graph = house(tmp_path)
    bare = house(tmp_path, registries=False)
    assert (len(arrows_back(graph)), len(circles(bare)), len(circles(folders(bare)))) == found


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
        for room in [*FLOW, "api"]
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


def test_every_slow_test_that_is_listed_is_there():
    lines = (ROOT / "tests" / "slow.txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if not line.startswith("#"):
            file, _, name = line.partition("::")
            assert (ROOT / file).is_file(), line
            assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8") or not name, line
