"""What tells that something may have changed, without reading it."""

import os
from pathlib import Path

from loki_web.store import watching


def test_folders_that_exist_are_found_with_what_tells_them_from_their_successors(
    tmp_path: Path,
) -> None:
    (tmp_path / "queue").mkdir()
    first = watching.folders(tmp_path, ["", "queue", "state"])
    assert set(first) == {os.path.realpath(tmp_path), os.path.realpath(tmp_path / "queue")}
    (tmp_path / "queue").rename(tmp_path / "old")
    (tmp_path / "queue").mkdir()
    assert watching.folders(tmp_path, ["queue"]).items().isdisjoint(first.items())


def test_folders_outside_are_not_watched(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "queue").symlink_to(tmp_path)
    assert watching.folders(root, ["queue"]) == {}


def test_file_systems_of_this_machine_report_changes(tmp_path: Path) -> None:
    assert watching.reports_changes(tmp_path)
