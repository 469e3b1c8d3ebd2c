"""Changes of files and folders that may happen while a server runs."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOUR_NS = 3600 * 10**9


@dataclass(frozen=True)
class Change:
    """A change.

    :param apply: makes the change.
    :param in_place: True if only the attributes of the file change, not those of its folder.
    """

    name: str
    apply: Callable[[Path, Path], Any]
    in_place: bool = False

    def __repr__(self) -> str:
        return self.name


def set_time(path: Path, mtime_ns: int) -> None:
    os.utime(path, ns=(mtime_ns, mtime_ns))


def append(path: Path, _: Path) -> None:
    last = path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2]
    with open(path, "ab") as stream:
        stream.write(last + b"\n")


def truncate(path: Path, _: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path, _: Path) -> None:
    os.truncate(path, 0)


def other_digits(path: Path, _: Path) -> None:
    """Edit in place, keeping the size and the modification time."""
    before = path.stat()
    with open(path, "r+b") as stream:
        data = stream.read()
        stream.seek(0)
        stream.write(data.translate(bytes.maketrans(b"12345", b"23451")))
    set_time(path, before.st_mtime_ns)


def rewrite_in_place(path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"e", b"a").replace(b"trua", b"true"))


def rotate(path: Path, _: Path) -> None:
    old = path.with_name(path.name + ".1")
    old.unlink(missing_ok=True)
    path.rename(old)
    path.write_bytes(old.read_bytes()[: old.stat().st_size // 3])


def replace(path: Path, _: Path) -> None:
    new = path.with_name(path.name + ".tmp")
    new.write_bytes(path.read_bytes().translate(bytes.maketrans(b"67890", b"78906")))
    new.replace(path)


def rename(path: Path, _: Path) -> None:
    path.rename(path.with_name("renamed-" + path.name))


def delete(path: Path, _: Path) -> None:
    path.unlink()


def to_the_future(path: Path, _: Path) -> None:
    other_digits(path, path)
    set_time(path, path.stat().st_mtime_ns + HOUR_NS)


def to_the_past(path: Path, _: Path) -> None:
    other_digits(path, path)
    set_time(path, path.stat().st_mtime_ns - HOUR_NS)


def fifo(path: Path, _: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def directory(path: Path, _: Path) -> None:
    path.unlink()
    path.mkdir()


def link_inside(path: Path, _: Path) -> None:
    path.rename(path.with_name("target-of-" + path.name))
    path.symlink_to("target-of-" + path.name)


def link_outside(path: Path, outside: Path) -> None:
    shutil.move(path, outside / path.name)
    path.symlink_to(outside / path.name)


def edit_the_target(path: Path, _: Path) -> None:
    """Replace a link by one to another file, and edit that."""
    target = Path(os.path.realpath(path))  # Path.resolve raises RuntimeError for a loop
    copy = target.with_name("copy-of-" + target.name)
    shutil.copy2(target, copy)
    path.unlink()
    path.symlink_to(copy)
    other_digits(copy, copy)


def hide(path: Path, _: Path) -> None:
    path.chmod(0)


def swap_the_folder(path: Path, outside: Path) -> None:
    folder, other = path.parent, outside / "other"
    shutil.copytree(folder, other, symlinks=True)
    for file in other.rglob("*.json*"):
        if file.is_file() and not file.is_symlink():
            other_digits(file, file)
    folder.rename(outside / "before")
    other.rename(folder)


def folder_becomes_a_link_out(path: Path, outside: Path) -> None:
    path.parent.rename(outside / "moved")
    path.parent.symlink_to(outside / "moved")


def folder_becomes_a_link_within(path: Path, _: Path) -> None:
    moved = path.parent.with_name("moved-" + path.parent.name)
    path.parent.rename(moved)
    path.parent.symlink_to(moved)


def folder_goes(path: Path, _: Path) -> None:
    shutil.rmtree(path.parent)


CHANGES = (
    Change("append", append),
    Change("truncate", truncate),
    Change("empty", empty),
    Change("edit, same size and times", other_digits),
    Change("rewrite in place", rewrite_in_place),
    Change("edit, time in the future", to_the_future),
    Change("edit, time in the past", to_the_past),
    Change("permissions", hide),
    Change("rotate", rotate),
    Change("replace", replace),
    Change("rename", rename),
    Change("delete", delete),
    Change("fifo", fifo),
    Change("directory", directory),
    Change("link inside", link_inside),
    Change("link outside", link_outside),
    Change("edit the target of a link", edit_the_target),
    Change("folder swapped", swap_the_folder),
    Change("folder becomes a link out", folder_becomes_a_link_out),
    Change("folder becomes a link within", folder_becomes_a_link_within),
    Change("folder goes", folder_goes),
)
