"""Verify the hash chain of the audit log: a single altered byte is reported with file and line."""

import json
from collections import deque
from dataclasses import dataclass, field

from loki_web.audit.log import (
    GENESIS,
    HASH,
    AuditFile,
    AuditLog,
    hash_entry,
    parse_line,
    serialize_entry,
)
from loki_web.services.context import Sources
from loki_web.store.coerce import Json

MAX_REPORTED = 100
_MAX_FORK_DISTANCE = 5000  # how many entries back a fork is searched
_BARE_KEYS = frozenset(
    {
        *("timestamp", "action", "resource_type", "resource_id", "user_id", "token_id"),
        *("ip_address", "user_agent", "success", "error", "details"),
    }
)


@dataclass(frozen=True)
class Spot:
    """A place in the log and what is wrong there.

    :param line: counted from 1.
    """

    file: str
    line: int
    about: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.about}"


@dataclass
class Verification:
    """The result of a verification.

    :param entries: the number of entries with a hash.
    :param bare: the number of entries without a hash, which cannot be verified.
    :param faults: altered, removed, repeated or inserted entries.
    :param forks: places where two processes without a common lock continued from the same entry;
        both entries are intact.
    :param torn: lines that a crash truncated.
    """

    files: int = 0
    entries: int = 0
    bare: int = 0
    faults: list[Spot] = field(default_factory=list)
    forks: list[Spot] = field(default_factory=list)
    torn: list[Spot] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether no entry was altered."""
        return not self.faults


def verify_log(sources: Sources) -> Verification:
    """Follow the chain through all files, oldest first.

    :return: at most MAX_REPORTED faults, forks and torn lines each, in order.
    """
    log = AuditLog(sources)
    files = log.list_files()
    walk = _Walk([GENESIS, *(anchor["hash"] for anchor in log.list_anchors())])
    for file in files:
        number = 0
        for number, line in enumerate(log.read_lines(file), start=1):
            walk.take(file, number, line)
        version = log.get_version(file)
        if not number and version and version.size:
            walk.result.faults.append(Spot(file.name, 1, "cannot be read"))
    walk.finish()
    walk.result.files = len(files)
    return walk.result


class _Walk:
    """The state of a verification between two lines.

    :param starts: hashes that the first entry may continue from, the most likely one last.
    """

    def __init__(self, starts: list[str]) -> None:
        self.result = Verification()
        self._heads: deque[str] = deque(reversed(starts), maxlen=_MAX_FORK_DISTANCE)
        self._ends = set(starts)  # of branches: continuing from one is no fork
        self._seen: set[str] = set()
        self._doubtful: Spot | None = None

    def take(self, file: AuditFile, number: int, line: bytes) -> None:
        """Verify the next line, its line end included."""
        body = line.rstrip(b"\n")
        if not body.strip():
            return
        entry = parse_line(body)
        if entry is None:
            self._settle_doubt(proven=False)
            self._doubtful = self._doubt(file, number, line)
        elif HASH not in entry:
            self.result.bare += 1
            if not entry.keys() <= _BARE_KEYS:
                self._note(self.result.faults, file, number, "unexpected keys")
        else:
            self._follow(file, number, body, entry)

    def finish(self) -> None:
        """Report a last malformed line as a fault, since no entry follows it."""
        self._settle_doubt(proven=True)

    def _doubt(self, file: AuditFile, number: int, line: bytes) -> Spot | None:
        """Return the place of a malformed line whose cause only the next entry can show.

        If the chain continues there, a crash truncated the line; otherwise it was altered.
        """
        if _has_more_than_an_entry(line):
            self._note(self.result.faults, file, number, "more than one entry in a line")
            return None
        if line.endswith(b"\n"):
            return Spot(file.name, number, "not a valid entry")
        self._note(self.result.torn, file, number, "truncated")
        return None

    def _settle_doubt(self, *, proven: bool) -> None:
        if self._doubtful:
            kind = self.result.faults if proven else self.result.torn
            kind.append(self._doubtful)
        self._doubtful = None

    def _follow(self, file: AuditFile, number: int, body: bytes, entry: Json) -> None:
        self.result.entries += 1
        stored = entry[HASH]
        text = serialize_entry(entry)
        previous = next((head for head in self._heads if hash_entry(head, text) == stored), None)
        if previous is None:
            self._settle_doubt(proven=True)
            self._note(
                self.result.faults, file, number, "altered, or entries before it are missing"
            )
            self._extend(hash_entry(self._heads[0], text))
        else:
            self._settle_doubt(proven=False)
            self._note_oddities(file, number, body, entry, previous)
        if isinstance(stored, str):
            self._extend(stored)

    def _note_oddities(
        self, file: AuditFile, number: int, body: bytes, entry: Json, previous: str
    ) -> None:
        if body != json.dumps(entry).encode():
            self._note(self.result.faults, file, number, "not in the form in which it was written")
        if entry[HASH] in self._seen:
            self._note(self.result.faults, file, number, "repeated")
        elif previous not in self._ends:
            self._note(self.result.forks, file, number, "fork")
        self._ends.discard(previous)

    def _extend(self, head: str) -> None:
        if len(self._heads) == self._heads.maxlen:
            gone = self._heads.pop()
            self._seen.discard(gone)
            self._ends.discard(gone)
        self._heads.appendleft(head)
        self._seen.add(head)
        self._ends.add(head)

    def _note(self, spots: list[Spot], file: AuditFile, number: int, about: str) -> None:
        if len(spots) < MAX_REPORTED:
            spots.append(Spot(file.name, number, about))


def _has_more_than_an_entry(line: bytes) -> bool:
    try:
        value, end = json.JSONDecoder().raw_decode(line.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and end > 0
