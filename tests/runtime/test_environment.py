"""The machine beside the figures, without importing what it names."""

import json
import os
import subprocess
import sys

from mnist_export.runtime import environment


def test_this_machine_is_described_and_goes_into_json():
    found = environment.describe(threads=3)
    value = json.loads(json.dumps(found.to_json()))
    assert value["threads"] == 3
    assert value["cores"] >= 1
    assert value["cpu"]
    assert value["versions"]["numpy"]
    assert set(value["flags"]) <= set(environment.INT8_FLAGS)


def test_versions_are_read_without_importing_the_packages():
    code = (
        "import sys; from mnist_export.runtime.environment import describe; describe(); "
        "assert not {'tensorflow', 'onnxruntime', 'numpy', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_machine_without_cpuinfo_is_described_too(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "_CPUINFO", tmp_path / "absent")
    found = environment.describe()
    assert found.cpu
    assert found.instruction_sets == ()


def test_a_busy_machine_is_noted(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (64.0, 1.0, 1.0))
    monkeypatch.setattr(environment, "usable_cores", lambda: 2)
    assert "load 64.0 on 2 processors" in environment.busy_note()
    monkeypatch.setattr(os, "getloadavg", lambda: (1.5, 1.0, 1.0))
    assert environment.busy_note() == ""
