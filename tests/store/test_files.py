"""Properties of files and file systems."""

import os
from pathlib import Path

import pytest

from loki_web.store import files


def test_file_systems_of_this_machine_report_changes(tmp_path: Path) -> None:
    assert files.reports_changes(tmp_path)


def test_a_missing_folder_reports_no_changes(tmp_path: Path) -> None:
    assert not files.reports_changes(tmp_path / "missing")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/project/.loki", "ext4"),
        ("/srv/project2/.loki", "ext4"),
        ("/mnt/shared/.loki", "nfs4"),
        ("/mnt/shared/.loki/logs", "tmpfs"),
        ("/mnt/sharedless", "ext4"),
        ("/stacked/x", "9p"),
        ("/stacked/y", "9p"),
    ],
)
def test_the_last_of_the_deepest_mounts_counts(path: str, kind: str) -> None:
    mounts = [
        *(("/", "ext4"), ("/mnt/shared", "nfs4"), ("/mnt/shared/.loki/logs", "tmpfs")),
        *(("/stacked", "ext4"), ("/stacked", "9p")),
    ]
    assert files.file_system_at(path, mounts) == kind


@pytest.mark.parametrize(
    ("relative", "real"),
    [
        ("", ""),
        ("a/b", "a/b"),
        ("a/missing", "a/missing"),
        ("missing/b", "missing/b"),
        ("a/b/below-a-file", "a/b/below-a-file"),
        ("a/", "a"),
        ("./a//b", "a/b"),
        ("a/../a/b", "a/b"),
        ("..", None),
        ("a/../../outside", None),
        ("link", "a/b"),
        ("folder/b", "a/b"),
        ("folder/../a", "a"),
        ("dangling", "missing"),
        ("out", None),
        ("out/x", None),
        ("turns", None),
        ("x" * 300, None),
        ("nul\0", None),
    ],
)
def test_a_path_below_a_root_is_resolved_as_its_links_lead(
    tmp_path: Path, relative: str, real: str | None
) -> None:
    base = tmp_path / "base"
    (base / "a").mkdir(parents=True)
    (base / "a" / "b").touch()
    links = {"link": "a/b", "folder": "a", "dangling": "missing", "out": "..", "turns": "turns"}
    for name, target in links.items():
        (base / name).symlink_to(target)
    wanted = None if real is None else os.path.normpath(base / real)
    assert files.resolve_below(str(base), relative) == wanted
