"""Resolving paths, and searching for directories within limits and without following links."""

from pathlib import Path

import pytest

from loki_web.store import scan


def _create(folder: Path, *relatives: str) -> list[Path]:
    for relative in relatives:
        (folder / relative / ".mark").mkdir(parents=True)
    return [folder / relative for relative in relatives]


def _find(folder: Path, depth: int = 10) -> list[Path]:
    return scan.find_directories(
        ".mark", folder.parent, [folder.name], depth=depth, skipped={"skipped"}
    )


@pytest.mark.parametrize("path", ["", ".", "a/b", "~", "~/a", "/a\x00b", "/\udcff"])
def test_only_absolute_paths_are_resolved(path: str) -> None:
    assert scan.resolve(path) is None


@pytest.mark.parametrize("is_there", [False, True])
def test_a_path_of_too_many_levels_is_not_resolved(tmp_path: Path, is_there: bool) -> None:
    deep = tmp_path.joinpath(*"a" * 500)
    if is_there:
        deep.mkdir(parents=True)
    assert scan.resolve(str(deep)) is None


def test_links_and_dots_are_resolved_in_existing_and_missing_paths(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real").mkdir()
    assert scan.resolve(f"{tmp_path}/link/../link/new/") == tmp_path / "real" / "new"


def test_a_link_to_itself_does_not_raise(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    resolved = scan.resolve(str(tmp_path / "loop"))
    assert resolved is not None
    assert not scan.is_directory(resolved)


def test_missing_and_unmarked_directories_do_not_match(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "file").write_text("")
    assert _find(tmp_path) == []
    assert _find(tmp_path / "nowhere") == []
    assert _find(tmp_path / "file") == []


def test_matches_are_sorted_and_not_searched_further(tmp_path: Path) -> None:
    b, a, _ = _create(tmp_path, "b", "x/a", "b/inner")
    _create(tmp_path, "skipped/c", ".hidden/d")
    assert _find(tmp_path) == [b, a]


def test_an_unreadable_directory_is_skipped(tmp_path: Path) -> None:
    (directory,) = _create(tmp_path, "a")
    (tmp_path / "closed").mkdir(mode=0)
    assert _find(tmp_path) == [directory]


def test_the_nearest_directories_are_searched_up_to_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, _far = _create(tmp_path, "z", "a/b/c/d/e")
    monkeypatch.setattr(scan, "MAX_DIRECTORIES", 4)
    assert _find(tmp_path) == [near]


def test_the_search_time_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _create(tmp_path, "a")
    monkeypatch.setattr(scan, "MAX_SECONDS", 0.0)
    assert _find(tmp_path) == []
