"""The new lines of the session's log: each once, redacted, through all that happens to a log."""

import os
import shutil
from collections.abc import Callable

import pytest

from loki_web.live.feed.log_state import LogSlice
from tests.live.hubs import Time
from tests.support.children import backdate
from tests.support.places import Place


class Log:
    """The log channel of a place, whose time the test sets."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.time = Time()
        sources = place.sources()
        self.slice = LogSlice(sources, lambda: sources, self.time)
        self.slice.refresh()

    def append(self, text: str, name: str = "agent.log") -> None:
        path = self.place.loki / "logs" / name
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as stream:
            stream.write(text)

    def new(self) -> list[str]:
        found = [message.data["message"] for message in self.slice.refresh()]
        while self.slice.has_more:
            found += [message.data["message"] for message in self.slice.refresh()]
        return found


@pytest.fixture
def log(place: Place) -> Log:
    place.write("logs/agent.log", "old\n")
    return Log(place)


def test_each_new_line_is_sent_once(log: Log) -> None:
    assert log.new() == []
    log.append("[INFO] one\n[ERROR] two\n")
    assert log.new() == ["one", "two"]
    assert log.new() == []


def test_a_line_is_told_when_it_is_complete(log: Log) -> None:
    log.append("hal")
    assert log.new() == []
    log.append("f\n")
    assert log.new() == ["half"]


def test_a_line_begun_before_anybody_listened_is_told_whole(place: Place) -> None:
    place.write("logs/agent.log", "old\nbeg")
    log = Log(place)
    log.append("un\n")
    assert log.new() == ["begun"]


def test_entries_are_those_of_the_rest_api(log: Log) -> None:
    log.append("[2026-02-07T01:32:00] [WARN] token=abcdef123456 seen\n")
    (message,) = log.slice.refresh()
    assert message.type == "log"
    assert message.data == log.place.client().get("/api/logs?lines=1").get_json()[0]
    assert "abcdef123456" not in message.data["message"]


def test_a_key_that_comes_in_two_pieces_is_not_told(log: Log) -> None:
    body = "Ab1+" * 16
    log.append(f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n")
    first = log.new()
    log.append(f"{body}\n-----END RSA PRIVATE KEY-----\nafter\n")
    told = first + log.new()
    assert body not in "".join(told)
    assert told[-1] == "after"


def trimmed_by_rename(log: Log) -> None:
    path = log.place.loki / "logs/agent.log"
    kept = path.read_text().splitlines(keepends=True)[-30:]
    log.place.write("logs/new", "".join(kept))
    os.replace(log.place.loki / "logs/new", path)


def trimmed_in_place(log: Log) -> None:
    path = log.place.loki / "logs/agent.log"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[-30:]))


@pytest.mark.parametrize("trim", [trimmed_by_rename, trimmed_in_place])
def test_a_log_that_is_cut_goes_on_where_it_was(log: Log, trim: Callable[[Log], None]) -> None:
    log.append("".join(f"line number {number}\n" for number in range(50)))
    assert len(log.new()) == 50
    trim(log)
    log.append("next\n")
    assert log.new() == ["next"]


def test_a_log_that_begins_anew_is_read_from_its_beginning(log: Log) -> None:
    log.place.write("logs/agent.log", "another session\n")
    assert log.new() == ["another session"]


def test_a_log_that_goes_and_comes_back_is_followed(log: Log) -> None:
    (log.place.loki / "logs/agent.log").unlink()
    assert log.new() == []
    log.append("back again\n")
    assert log.new() == ["back again"]


MANY = [f"line number {number} {'x' * 200}" for number in range(1000)]


@pytest.mark.parametrize("name", ["agent.log.1", "agent-1.log", ".old", "old/agent.log"])
@pytest.mark.parametrize(
    ("rest", "told"),
    [
        ("", []),
        ("last\n", ["last"]),
        ("last\nwithout line end", ["last", "without line end"]),
        ("\n".join(MANY), MANY),
    ],
)
def test_a_log_that_is_renamed_is_read_to_its_end_before_the_next(
    log: Log, name: str, rest: str, told: list[str]
) -> None:
    path = log.place.loki / "logs/agent.log"
    log.append("seen\n")
    assert log.new() == ["seen"]
    log.append(rest)
    path.with_name("old").mkdir()
    path.rename(path.parent / name)
    log.append("first\n")
    assert log.new() == [*told, "first"]
    log.append("second\n")
    assert log.new() == ["second"]


@pytest.mark.parametrize("name", ["agent.log.1", "agent-1.log"])
def test_a_log_that_is_renamed_without_another_is_read_to_its_end(log: Log, name: str) -> None:
    path = log.place.loki / "logs/agent.log"
    log.append("last\nbeg")
    path.rename(path.with_name(name))
    assert log.new() == ["last"]
    log.append("un\n", name)
    assert log.new() == ["begun"]
    log.time.now += 3
    assert log.new() == []
    log.append("next\n")
    assert log.new() + log.new() == ["next"]


@pytest.mark.parametrize("name", ["agent.log.1", "agent-1.log", "old/agent.log"])
@pytest.mark.parametrize("rest", ["", "last\n", "last\nwithout line end"])
@pytest.mark.parametrize("first", ["first\n", "first line that is longer than the former log\n"])
def test_a_log_that_is_copied_and_truncated_is_read_to_its_end_before_the_next(
    log: Log, name: str, rest: str, first: str
) -> None:
    path = log.place.loki / "logs/agent.log"
    log.append("seen before it was copied\n")
    log.new()
    log.append(rest)
    path.with_name("old").mkdir()
    shutil.copyfile(path, path.parent / name)
    os.truncate(path, 0)
    log.append(first)
    assert log.new() == [*rest.splitlines(), first.strip()]
    log.append("second\n")
    assert log.new() == ["second"]


@pytest.mark.parametrize("is_copied", [False, True])
@pytest.mark.parametrize("folder", ["", "old/"])
def test_a_log_that_is_rotated_twice_between_two_looks_is_read_whole(
    log: Log, folder: str, *, is_copied: bool
) -> None:
    path = log.place.loki / "logs/agent.log"
    (path.parent / "old").mkdir()
    log.append("seen before it was rotated\n")
    log.new()
    for number, text in ((2, "last\nwithout line end"), (1, "between\n" * 3)):
        log.append(text)
        target = path.parent / f"{folder}agent.log.{number}"
        if is_copied:
            shutil.copyfile(path, target)
            os.truncate(path, 0)
        else:
            path.rename(target)
    log.append("first\n")
    assert log.new() == ["last", "without line end", *["between"] * 3, "first"]


def test_a_log_with_a_higher_number_is_not_taken_for_an_older_one(log: Log) -> None:
    path = log.place.loki / "logs/agent.log"
    log.place.write("logs/agent.log.1", "of another day\n")
    backdate(path.with_name("agent.log.1"), 60)
    log.append("seen\n")
    log.new()
    path.rename(path.with_name("agent.log.2"))
    log.append("first\n")
    assert log.new() == ["first"]


@pytest.mark.parametrize("rotate", ["rename", "copy"])
def test_a_rotated_log_is_not_told_again_while_the_next_is_empty(log: Log, rotate: str) -> None:
    path = log.place.loki / "logs/agent.log"
    log.append("seen before it was rotated\n")
    log.new()
    if rotate == "rename":
        path.rename(path.with_name("agent-1.log"))
    else:
        shutil.copyfile(path, path.with_name("agent-1.log"))
    path.write_text("")
    assert log.new() == []
    log.time.now += 3
    assert log.new() == []
    first = "first line that is longer than the former log, which was short"
    log.append(f"{first}\n")
    assert log.new() == [first]
    assert log.new() == []


def test_a_rotated_log_is_followed_until_the_next_one_has_lines(log: Log) -> None:
    path = log.place.loki / "logs/agent.log"
    path.rename(path.with_name("agent.log.1"))
    path.write_text("")
    told = [log.new()]
    for text in ("beg", "un\nlast"):  # the writer has not opened the next one yet
        log.append(text, "agent.log.1")
        told.append(log.new())
    log.append("first\n")
    assert [*told, log.new()] == [[], [], ["begun"], ["last", "first"]]


def test_a_file_with_the_inode_of_a_removed_log_is_not_read(log: Log) -> None:
    path = log.place.loki / "logs/agent.log"
    path.rename(path.with_name("other.txt"))
    path.with_name("other.txt").write_text("not of the log\n" * 9)
    log.append("first\n")
    assert log.new() == ["first"]


def test_a_first_log_is_told_from_its_beginning(place: Place) -> None:
    log = Log(place)
    log.append("first\n")
    log.time.now += 3
    assert log.new() == ["first"]
    log.append("second\n")
    assert log.new() == ["second"]


def test_a_log_that_was_seen_while_it_was_empty_is_told_from_its_beginning(place: Place) -> None:
    log = Log(place)
    log.append("")
    log.time.now += 3
    assert log.new() == []
    log.append("first\n")
    assert log.new() == ["first"]


def test_another_log_is_read_since_the_last_line_of_this_one(log: Log) -> None:
    log.append("known to whoever listened then\n", "background-20260220-090102.log")
    log.append("the last line here\n")
    log.new()
    log.append("meanwhile\n", "background-20260220-090102.log")
    assert log.new() == []
    log.append("from now on there\n", "background-20260220-090102.log")
    before = (log.place.loki / "logs/agent.log").stat()
    os.utime(log.place.loki / "logs/agent.log", (before.st_atime, before.st_mtime - 60))
    log.time.now += 3
    assert log.new() == ["meanwhile", "from now on there"]


def test_one_of_two_logs_written_at_once_is_followed(log: Log) -> None:
    for number in range(5):
        log.append(f"line {number}\n", "autonomy-20260220.log")
        log.append(f"line {number}\n")
        log.time.now += 1
        assert log.new() == [f"line {number}"]


def test_a_log_that_takes_over_is_followed_as_soon_as_the_other_is_quiet(log: Log) -> None:
    log.append("from now on here\n", "background-20260220-090102.log")
    before = (log.place.loki / "logs/agent.log").stat()
    os.utime(log.place.loki / "logs/agent.log", (before.st_atime, before.st_mtime - 60))
    log.time.now += 3
    assert log.new() == ["from now on here"]


def test_a_log_that_grows_faster_than_it_can_be_sent_says_what_is_skipped(log: Log) -> None:
    log.append("x" * 99 + "\n")
    log.new()
    log.append(("y" * 999 + "\n") * 6000)
    told = log.new()
    assert "skipped" in told[0]
    assert len(told) < 200
    log.append("the end\n")
    assert log.new()[-1] == "the end"


def test_very_long_lines_are_cut_and_what_follows_is_whole(log: Log) -> None:
    log.append("z" * 3_000_000 + "\nnext\n")
    told = log.new()
    assert told[-1] == "next"
    assert len(told) == 2
    assert len(told[0]) < 5000


def test_a_client_that_reconnects_gets_the_missed_lines(log: Log) -> None:
    log.append("one\n")
    log.new()
    known = log.slice.token
    log.append("two\nthree\n")
    log.new()
    missed = log.slice.since(known)
    assert [message.data["message"] for message in missed or []] == ["two", "three"]
    assert log.slice.since(log.slice.token) == []


@pytest.mark.parametrize("before", ["old\none\n", "x" * 40_000 + "\none\n"])
def test_a_place_in_a_log_that_began_anew_is_not_known(log: Log, before: str) -> None:
    path = log.place.loki / "logs" / "agent.log"
    path.write_text(before)
    log.new()
    known = log.slice.token
    path.write_text("a new session, in the same file\n" * 2000)
    assert len(log.new()) == 2000
    assert log.slice.since(known) is None


@pytest.mark.parametrize("token", ["", "none", "1.2", "x.y", "999999999999.0"])
def test_a_place_in_no_log_that_is_followed_is_not_known(log: Log, token: str) -> None:
    log.append("one\n")
    log.new()
    assert log.slice.since(token) is None
