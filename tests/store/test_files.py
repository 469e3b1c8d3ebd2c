"""Properties of files and file systems."""

from pathlib import Path

from loki_web.store import files


def test_file_systems_of_this_machine_report_changes(tmp_path: Path) -> None:
    assert files.reports_changes(tmp_path)


def test_a_missing_folder_reports_no_changes(tmp_path: Path) -> None:
    assert not files.reports_changes(tmp_path / "missing")
