"""A release's wheel holds every package, and what is missing is found."""

from __future__ import annotations

import zipfile

import release


def test_every_folder_of_code_is_a_package():
    assert release.folders_without_a_package() == []


def test_what_a_wheel_lacks_is_named(tmp_path):
    names = sorted(release.expected_files())
    assert {"mnist_export/calls.py", "mnist_export/report/page.html", "mnist_export/report/draw.js"} <= set(
        names
    )
    whole, part = tmp_path / "whole.whl", tmp_path / "part.whl"
    for path, kept in ((whole, names), (part, [name for name in names if "/parity/layers/" not in name])):
        with zipfile.ZipFile(path, "w") as archive:
            for name in kept:
                archive.writestr(name, "")
    assert release.missing_from(whole) == []
    missing = release.missing_from(part)
    assert missing
    assert all("/parity/layers/" in name for name in missing)


def test_the_changelog_has_to_begin_with_the_version(tmp_path, monkeypatch):
    monkeypatch.setattr(release, "ROOT", tmp_path)
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n")
    assert "begins with 'Unreleased'" in release.changelog_problem("0.2.0")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 0.2.0, today\n")
    assert release.changelog_problem("0.2.0") == ""
