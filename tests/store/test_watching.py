"""Where changes are told by the file system."""

from pathlib import Path

from loki_web.store import watching


def test_file_systems_of_this_machine_report_changes(tmp_path: Path) -> None:
    assert watching.reports_changes(tmp_path)


def test_what_is_not_there_reports_nothing(tmp_path: Path) -> None:
    assert not watching.reports_changes(tmp_path / "missing")
