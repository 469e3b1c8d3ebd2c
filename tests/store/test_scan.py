"""Where paths lead, and looking for directories without being led astray or kept busy."""

from pathlib import Path

import pytest

from loki_web.store import scan


def _made(folder: Path, *relatives: str) -> list[Path]:
    for relative in relatives:
        (folder / relative / ".mark").mkdir(parents=True)
    return [folder / relative for relative in relatives]


def _found(folder: Path, depth: int = 10) -> list[Path]:
    return scan.find_directories(".mark", [folder], depth=depth, skipped={"skipped"})


@pytest.mark.parametrize("path", ["", ".", "a/b", "~", "~/a", "/a\x00b", "/\udcff"])
def test_what_is_no_absolute_path_leads_nowhere(path: str) -> None:
    assert scan.resolve(path) is None


def test_links_and_dots_are_resolved_whether_the_end_exists_or_not(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real").mkdir()
    assert scan.resolve(f"{tmp_path}/link/../link/new/") == tmp_path / "real" / "new"


def test_a_link_to_itself_does_not_raise(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    found = scan.resolve(str(tmp_path / "loop"))
    assert found is not None
    assert not scan.is_directory(found)


def test_missing_places_and_unmarked_directories_are_no_find(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "file").write_text("")
    assert _found(tmp_path) == []
    assert _found(tmp_path / "nowhere") == []
    assert _found(tmp_path / "file") == []


def test_finds_are_in_path_order_and_end_the_way_down(tmp_path: Path) -> None:
    b, a, _ = _made(tmp_path, "b", "x/a", "b/inner")
    _made(tmp_path, "skipped/c", ".hidden/d")
    assert _found(tmp_path) == [b, a]


def test_a_directory_that_may_not_be_read_is_passed_by(tmp_path: Path) -> None:
    (found,) = _made(tmp_path, "a")
    (tmp_path / "closed").mkdir(mode=0)
    assert _found(tmp_path) == [found]


def test_the_nearest_are_looked_at_while_the_number_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, _far = _made(tmp_path, "z", "a/b/c/d/e")
    monkeypatch.setattr(scan, "MAX_DIRECTORIES", 4)
    assert _found(tmp_path) == [near]


def test_the_time_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _made(tmp_path, "a")
    monkeypatch.setattr(scan, "MAX_SECONDS", 0.0)
    assert _found(tmp_path) == []
