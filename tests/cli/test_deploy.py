"""`loki-web deploy DIR`: the example configuration, without overwriting anything."""

from pathlib import Path

import pytest

from tests.cli.commands import is_one_complaint, run
from tests.support.places import Place
from tests.support.servers import ROOT


def test_the_files_are_written_and_named(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    done = run(place, "deploy", str(folder))
    assert done.returncode == 0
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    assert done.stdout.split() == [str(path) for path in written]
    for path in written:
        assert path.read_bytes() == (ROOT / "deploy" / path.relative_to(folder)).read_bytes()


@pytest.mark.parametrize("is_link", [False, True])
def test_an_existing_file_stays_as_it_is(place: Place, tmp_path: Path, is_link: bool) -> None:
    existing = tmp_path / "nginx" / "plain.conf"
    existing.parent.mkdir()
    if is_link:
        existing.symlink_to("nowhere")
    else:
        existing.touch()
    assert is_one_complaint(run(place, "deploy", str(tmp_path)))
    assert existing.is_symlink() == is_link
    assert not existing.exists() or existing.stat().st_size == 0


@pytest.mark.parametrize("name", ["nginx", "nginx/loki-web", "prometheus/rules"])
def test_a_file_in_place_of_a_folder_stops_all(place: Place, tmp_path: Path, name: str) -> None:
    existing = tmp_path / name
    existing.parent.mkdir(exist_ok=True)
    existing.touch()
    done = run(place, "deploy", str(tmp_path))
    assert is_one_complaint(done)
    assert f"{existing} exists; nothing was written" in done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [existing]


def test_other_files_of_the_folder_do_not_matter(place: Place, tmp_path: Path) -> None:
    (tmp_path / "other.conf").touch()
    assert run(place, "deploy", str(tmp_path)).returncode == 0


def test_an_error_names_the_folder(place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(place, "deploy", str(tmp_path / "file" / "below"))
    assert is_one_complaint(done)
    assert str(tmp_path / "file") in done.stderr
