"""Properties of files and file systems."""

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
