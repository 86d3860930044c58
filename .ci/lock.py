"""Fails where this environment holds an older version than the lock file, or lacks a locked package."""

import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.version import Version

problems = []
locked = re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", Path(sys.argv[1]).read_text(encoding="utf-8"), re.M)
for name, wanted in locked:
    if name == "setuptools":  # each venv brings its own, and TensorFlow takes any
        continue
    try:
        found = version(name)
    except PackageNotFoundError:
        problems.append(f"{name}: locked at {wanted}, not installed")
        continue
    if Version(found) < Version(wanted):
        problems.append(f"{name}: locked at {wanted}, found the older {found}")
sys.stdout.write("".join(f"{line}\n" for line in problems) or f"{len(locked)} locked packages: none older\n")
sys.exit(1 if problems or not locked else 0)
