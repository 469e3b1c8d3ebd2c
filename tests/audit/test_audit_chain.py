"""The hash chain of the audit log across files, and the detection of altered entries."""

import hashlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from loki_web.audit.log import HASH, Event, WritableAuditLog, hash_entry, serialize_entry
from loki_web.audit.seal import End, open_seal
from loki_web.audit.verify import Verification, verify_log
from loki_web.errors import SettingsError
from loki_web.services.context import WritableSources, open_sources
from tests.support.places import Place

NOON = datetime(2026, 2, 20, 12, 0, 0, tzinfo=UTC)
GENESIS = "0" * 64


class Clock:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def sources(place: Place, clock: Clock, **settings: str) -> WritableSources:
    return open_sources(place.settings(**settings), 0.0, clock)


def write(src: WritableSources, count: int = 1, **more: Any) -> None:
    log = WritableAuditLog(src)
    for number in range(count):
        assert log.record(Event("create", "thing", f"t{number}", **more))


def folder(place: Place) -> Path:
    return place.home / ".loki/dashboard/audit"


def checked(place: Place) -> Verification:
    return verify_log(place.sources())


def by_the_book(paths: list[Path]) -> list[tuple[str, str]]:
    """Stored and expected hash of each line, computed as the documents say, from zeros."""
    previous, pairs = GENESIS, []
    for path in paths:
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            stored = entry.pop("_integrity_hash")
            text = json.dumps(entry, sort_keys=True, default=str)
            pairs.append((stored, hashlib.sha256((previous + text).encode()).hexdigest()))
            previous = stored
    return pairs


def test_hashes_are_as_documented(place: Place) -> None:
    write(sources(place, Clock()), 3, details={"note": "café", "b": 1, "a": {"z": None, "y": 2.5}})
    pairs = by_the_book([folder(place) / "audit-2026-02-20.jsonl"])
    assert len(pairs) == 3
    assert all(stored == expected for stored, expected in pairs)


def test_a_recorded_log_of_the_old_server_verifies_and_continues(session: Place) -> None:
    assert checked(session).ok
    write(session.sources(), 2)
    paths = sorted(folder(session).glob("audit-*.jsonl"))
    assert all(stored == expected for stored, expected in by_the_book(paths))
    found = checked(session)
    assert (found.files, found.ok, found.forks) == (len(paths), True, [])


def test_the_chain_continues_across_midnight_and_restarts(place: Place) -> None:
    clock = Clock(NOON.replace(hour=23, minute=59))
    write(sources(place, clock), 2)
    clock.now += timedelta(minutes=2)
    write(sources(place, clock), 2)
    names = sorted(path.name for path in folder(place).glob("*.jsonl"))
    assert names == ["audit-2026-02-20.jsonl", "audit-2026-02-21.jsonl"]
    assert all(s == e for s, e in by_the_book([folder(place) / name for name in names]))
    assert checked(place).ok


@pytest.mark.parametrize(
    "torn", ['{"torn":', '{"timestamp": "2026-02-20T12:0', "\0\0\0", '{"a": {}']
)
def test_a_torn_last_line_is_skipped(place: Place, torn: str) -> None:
    src = sources(place, Clock())
    write(src, 2)
    path = folder(place) / "audit-2026-02-20.jsonl"
    with path.open("a") as stream:
        stream.write(torn)
    assert checked(place).ok
    write(src, 2)
    found = checked(place)
    assert (found.entries, found.ok, found.forks) == (4, True, [])
    assert [(spot.file, spot.line) for spot in found.torn] == [(path.name, 3)]


def test_entries_without_a_hash_are_skipped(place: Place) -> None:
    clock = Clock()
    write(sources(place, clock), 1)
    write(sources(place, clock, LOKI_AUDIT_NO_INTEGRITY="true"), 2)
    write(sources(place, clock), 1)
    found = checked(place)
    assert (found.entries, found.bare, found.ok) == (2, 2, True)


def fill(path: Path, size: int = 1024 * 1024) -> None:
    """Let the file have the size at which it is rotated, without another entry."""
    with path.open("ab") as stream:
        stream.write(b"\n" * (size - path.stat().st_size))


@pytest.mark.slow
def test_full_files_are_rotated_and_the_chain_continues(place: Place) -> None:
    clock = Clock()
    src = sources(place, clock, LOKI_AUDIT_MAX_SIZE_MB="1")
    path = folder(place) / "audit-2026-02-20.jsonl"
    for _ in range(3):  # in one second: the names must not collide
        write(src, 2)
        fill(path)
    clock.now += timedelta(hours=1)
    write(src, 2)
    assert sorted(p.name for p in folder(place).glob("*.jsonl")) == [
        *("audit-2026-02-20.120000.jsonl", "audit-2026-02-20.120001.jsonl"),
        *("audit-2026-02-20.130000.jsonl", "audit-2026-02-20.jsonl"),
    ]
    found = checked(place)
    assert (found.entries, found.ok, found.forks) == (8, True, [])


@pytest.mark.slow
def test_the_log_verifies_after_retention_deletes_files(place: Place) -> None:
    clock = Clock()
    src = sources(place, clock, LOKI_AUDIT_MAX_SIZE_MB="1", LOKI_AUDIT_MAX_FILES="3")
    for _ in range(8):
        write(src, 2)
        fill(folder(place) / f"audit-{clock.now.date()}.jsonl")
        write(src, 1)
        clock.now += timedelta(days=1)
    kept = sorted(path.name for path in folder(place).glob("*.jsonl"))
    assert len(kept) <= 4
    assert "2026-02-20" not in kept[0]
    found = checked(place)
    assert (found.ok, found.forks) == (True, [])
    (folder(place) / kept[0]).unlink()
    assert not checked(place).ok


@pytest.mark.slow
def test_any_altered_byte_is_reported_with_its_place(place: Place) -> None:
    src = sources(place, Clock())
    write(src, 4, user_agent="curl/8.5.0", details={"n": 1.5, "s": "é\\"})
    path = folder(place) / "audit-2026-02-20.jsonl"
    sound = path.read_bytes()
    assert checked(place).ok
    for position in range(len(sound)):
        line = sound.count(b"\n", 0, position) + 1
        for change in (1, 0x20):
            altered = bytearray(sound)
            altered[position] ^= change
            path.write_bytes(altered)
            found = verify_log(src)
            assert not found.ok, (position, change)
            assert found.faults[0].file == path.name
            assert found.faults[0].line == line, (position, change, found.faults)


@pytest.mark.parametrize("kind", ["removed", "swapped", "repeated", "inserted", "beheaded"])
def test_removed_moved_and_added_entries_are_reported(place: Place, kind: str) -> None:
    write(sources(place, Clock()), 5)
    path = folder(place) / "audit-2026-02-20.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    made_up = json.loads(lines[1]) | {"user_id": "somebody"}
    changed = {
        "removed": [*lines[:2], *lines[3:]],
        "swapped": [lines[0], lines[2], lines[1], *lines[3:]],
        "repeated": [*lines[:3], lines[2], *lines[3:]],
        "inserted": [*lines[:2], json.dumps(made_up).encode() + b"\n", *lines[2:]],
        "beheaded": lines[1:],
    }
    path.write_bytes(b"".join(changed[kind]))
    found = checked(place)
    assert not found.ok
    assert found.faults[0].line in (1, 2, 3, 4)


def test_a_deleted_file_in_the_middle_is_reported(place: Place) -> None:
    clock = Clock()
    for _ in range(3):
        write(sources(place, clock), 2)
        clock.now += timedelta(days=1)
    (folder(place) / "audit-2026-02-21.jsonl").unlink()
    (fault,) = checked(place).faults
    assert (fault.file, fault.line) == ("audit-2026-02-22.jsonl", 1)


def test_concurrent_old_servers_cause_a_fork_and_no_fault(place: Place) -> None:
    write(sources(place, Clock()), 2)
    path = folder(place) / "audit-2026-02-20.jsonl"
    start = json.loads(path.read_text().splitlines()[-1])["_integrity_hash"]
    heads = {"a": start, "b": start}
    for number, who in enumerate("abbaab"):
        entry = {"timestamp": "2026-02-20T12:00:01+00:00", "action": "x", "resource_type": who}
        entry["resource_id"] = str(number)
        text = json.dumps(entry, sort_keys=True)
        heads[who] = hashlib.sha256((heads[who] + text).encode()).hexdigest()
        with path.open("a") as stream:
            stream.write(json.dumps({**entry, "_integrity_hash": heads[who]}) + "\n")
    write(sources(place, Clock()), 1)
    found = checked(place)
    assert found.faults == []
    assert [spot.line for spot in found.forks] == [4, 9]  # ours continues from its own last entry
    assert found.entries == 9


def test_an_empty_log_verifies(place: Place) -> None:
    assert checked(place) == Verification()


def test_other_files_in_the_folder_are_ignored(place: Place) -> None:
    write(sources(place, Clock()), 1)
    for name in ("audit-2026-13-99.jsonl", "audit-x.jsonl", "audit-2026-02-20.jsonl.bak", "notes"):
        (folder(place) / name).write_text("{}\n")
    os.symlink("/etc/passwd", folder(place) / "audit-2026-02-19.jsonl")
    assert checked(place).files == 1


LOG = "audit-2026-02-20.jsonl"


def forge(previous: str, **fields: Any) -> bytes:
    """An entry as everybody can make it who knows the hash before."""
    entry = {"timestamp": "2026-02-20T12:00:00+00:00", "action": "create", **fields}
    return (
        json.dumps({**entry, HASH: hash_entry(previous, serialize_entry(entry))}) + "\n"
    ).encode()


def hash_in(line: bytes) -> str:
    return str(json.loads(line)[HASH])


def replace_by_fifo(path: Path, lines: list[bytes]) -> None:
    path.unlink()
    os.mkfifo(path)


def write_anchors(path: Path, last_hash: str, **fields: str) -> None:
    anchor = {"file": "audit-2026-02-19.jsonl", "hash": last_hash, **fields}
    (path.parent / "anchors.json").write_text(json.dumps({"anchors": [anchor]}))


def behead(path: Path, lines: list[bytes], **fields: str) -> None:
    write_anchors(path, hash_in(lines[0]), **fields)
    path.write_bytes(b"".join(lines[1:]))


def delete_with_anchor(path: Path, lines: list[bytes]) -> None:
    write_anchors(path, hash_in(lines[-1]))
    path.unlink()


def replace_by_directory(path: Path, lines: list[bytes]) -> None:
    path.unlink()
    path.mkdir()


def unreadable(stored: str) -> bytes:
    """Return an entry that queries list, with something odd in place of its hash."""
    entry = f'{{"timestamp": "{NOON.isoformat()}", "action": "create", "{HASH}": {stored}}}'
    return entry.encode("latin-1") + b"\n"


def insert(path: Path, lines: list[bytes], line: bytes) -> None:
    path.write_bytes(b"".join([*lines[:2], line, *lines[2:]]))


ATTACKS: dict[str, Callable[[Path, list[bytes]], object]] = {
    "unhashed entry": lambda path, lines: path.write_bytes(
        b"".join([*lines[:2], b'{"action": "create"}\n', *lines[2:]])
    ),
    "hash that is no text": partial(insert, line=unreadable('"\\ud800"')),
    "number too long to parse": partial(insert, line=unreadable("9" * 5000)),
    "byte order mark and a byte that is no text": partial(
        insert, line=b"\xef\xbb\xbf" + unreadable('"\xff"')
    ),
    "fork": lambda path, lines: path.write_bytes(
        b"".join([*lines[:2], forge(hash_in(lines[0])), *lines[2:]])
    ),
    "second beginning": lambda path, lines: path.write_bytes(b"".join([*lines, forge(GENESIS)])),
    "entry added": lambda path, lines: path.write_bytes(
        b"".join([*lines, forge(hash_in(lines[-1]))])
    ),
    "tail truncated": lambda path, lines: path.write_bytes(b"".join(lines[:-1])),
    "tail rewritten": lambda path, lines: path.write_bytes(
        b"".join([*lines[:-1], forge(hash_in(lines[-2]))])
    ),
    "all rewritten": lambda path, lines: path.write_bytes(forge(GENESIS)),
    "emptied": lambda path, lines: path.write_bytes(b""),
    "deleted": lambda path, lines: path.unlink(),
    "FIFO": replace_by_fifo,
    "directory": replace_by_directory,
    "anchors by hand": behead,
    "anchor of the end": delete_with_anchor,
    "signature of another": partial(behead, mac="0" * 64),
}


@pytest.mark.parametrize("later", [0, 2], ids=["at rest", "while it is written"])
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_proven_log_cannot_be_changed_without_the_key(
    place: Place, attack: Callable[[Path, list[bytes]], object], later: int
) -> None:
    write(sources(place, Clock()), 4)
    path = folder(place) / LOG
    assert checked(place).is_proven
    attack(path, path.read_bytes().splitlines(keepends=True))
    for number in range(later):
        WritableAuditLog(sources(place, Clock())).record(Event("create", "thing", f"later{number}"))
    assert not checked(place).is_proven


def test_a_fifo_in_place_of_the_first_file_is_reported(place: Place) -> None:
    WritableAuditLog(place.sources()).sign_end()
    folder(place).mkdir(parents=True, exist_ok=True)
    os.mkfifo(folder(place) / LOG)
    assert not checked(place).is_proven


@pytest.mark.parametrize("kept", ["last", "pending", "neither"])
def test_a_writer_killed_at_any_moment_leaves_a_log_that_goes_on(place: Place, kept: str) -> None:
    src = sources(place, Clock())
    write(src, 2)
    seal = open_seal(src)
    assert seal
    before = seal.read_end()
    assert before
    path = folder(place) / LOG
    lines = path.read_bytes().splitlines(keepends=True)
    earlier = End(before.start, hash_in(lines[0]), before.last)
    if kept != "last":
        seal.write_end(earlier)
    if kept == "neither":  # killed before the line was appended
        path.write_bytes(lines[0])
    assert checked(place).is_proven == (kept != "neither")
    write(src, 1)
    assert checked(place).is_proven


def test_entries_older_than_the_key_are_verified_but_not_proven(session: Place) -> None:
    WritableAuditLog(session.sources()).sign_end()
    write(session.sources(), 2)
    found = checked(session)
    assert (found.ok, found.is_proven) == (True, False)
    assert [spot.about for spot in found.unproven] == ["entries up to here are older than the key"]


def test_the_key_is_private_and_made_once(place: Place) -> None:
    key = place.home / ".config/loki-web/audit.key"
    write(sources(place, Clock()), 1)
    first = key.read_bytes()
    write(sources(place, Clock()), 1)
    assert key.read_bytes() == first
    assert [path.stat().st_mode & 0o777 for path in sorted(key.parent.iterdir())] == [0o600] * 2


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 32])
def test_another_key_proves_nothing(place: Place, content: bytes) -> None:
    write(sources(place, Clock()), 2)
    (place.home / ".config/loki-web/audit.key").write_bytes(content)
    found = checked(place)
    assert (found.ok, found.is_proven) == (True, False)


def test_entries_are_unproven_if_the_key_cannot_be_stored(place: Place) -> None:
    (place.home / ".config").write_text("no folder")
    write(sources(place, Clock()), 2)
    found = checked(place)
    assert (found.entries, found.ok, found.is_proven) == (2, True, False)


def test_a_key_in_the_folder_of_the_log_is_refused(place: Place) -> None:
    for inside in (place.home / ".loki/audit.key", place.loki / "x/key"):
        with pytest.raises(SettingsError):
            place.settings(LOKI_AUDIT_KEY_FILE=str(inside))
