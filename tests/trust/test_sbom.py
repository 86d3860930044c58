"""The bill of materials names what the wheel needs, with hashes, and no development tools."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bills(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sbom")
    for name in ("a", "b"):
        command = [sys.executable, ROOT / "tools" / "sbom.py", "-o", folder / name]
        subprocess.run(command, check=True, capture_output=True)
    return [(folder / name).read_bytes() for name in ("a", "b")]


def test_it_is_the_same_each_time(bills):
    assert bills[0] == bills[1]


def test_every_direct_dependency_is_in_it_with_hashes(bills):
    components = {c["name"]: c for c in json.loads(bills[0])["components"]}
    scopes = {
        "required": {"numpy", "onnxruntime", "ai-edge-litert", "flatbuffers", "pillow", "pooch", "tqdm"}
    }
    scopes["optional"] = {"tensorflow", "keras", "tf-keras", "onnx", "tf2onnx", "h5py"}
    for scope, names in scopes.items():
        for name in names:
            assert components[name]["scope"] == scope, name
            assert components[name]["hashes"]
            assert components[name]["purl"] == f"pkg:pypi/{name}@{components[name]['version']}"


def test_development_tools_are_not_in_it(bills):
    names = {c["name"] for c in json.loads(bills[0])["components"]}
    assert not names & {"pytest", "hypothesis", "ruff", "mypy"}


def test_every_reference_leads_somewhere(bills):
    document = json.loads(bills[0])
    known = {c["bom-ref"] for c in document["components"]} | {document["metadata"]["component"]["bom-ref"]}
    for entry in document["dependencies"]:
        assert {entry["ref"], *entry["dependsOn"]} <= known
