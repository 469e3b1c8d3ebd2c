"""Does the audit log still say what was written? Finds one altered byte and tells where it is."""

import json
from collections import deque
from dataclasses import dataclass, field

from loki_web.services import audit_chain
from loki_web.services.audit_chain import GENESIS, HASH, chained, covered_text, read_line
from loki_web.services.audit_files import AuditFile, audit_files
from loki_web.store.coerce import Json
from loki_web.store.folder import Folder

MAX_REPORTED = 100
_MAX_FORK_DISTANCE = 5000  # entries back to which a fork is looked for
_BARE_KEYS = frozenset(
    {
        *("timestamp", "action", "resource_type", "resource_id", "user_id", "token_id"),
        *("ip_address", "user_agent", "success", "error", "details"),
    }
)


@dataclass(frozen=True)
class Spot:
    """:param line: counted from 1."""

    file: str
    line: int
    about: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.about}"


@dataclass
class Verification:
    """:param entries: how many carry a hash; `bare` ones were written without and prove nothing.
    :param faults: what was altered, removed, repeated or put in.
    :param forks: where two processes that knew nothing of each other both went on from one entry,
        as those of the old server do; what they wrote is intact.
    :param torn: lines that a crash cut short.
    """

    files: int = 0
    entries: int = 0
    bare: int = 0
    faults: list[Spot] = field(default_factory=list)
    forks: list[Spot] = field(default_factory=list)
    torn: list[Spot] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.faults


def verify(user: Folder) -> Verification:
    """Follow the chain through all files, oldest first.

    :return: at most MAX_REPORTED of each kind of finding, in order.
    """
    files = audit_files(user)
    walk = _Walk([GENESIS, *(anchor["hash"] for anchor in audit_chain.anchors(user))])
    for file in files:
        number = 0
        for number, line in enumerate(user.lines(file.path), start=1):
            walk.take(file, number, line)
        version = user.version(file.path)
        if not number and version and version.size:
            walk.found.faults.append(Spot(file.name, 1, "cannot be read"))
    walk.finish()
    walk.found.files = len(files)
    return walk.found


class _Walk:
    """:param starts: what the first entry may continue from, the likeliest last."""

    def __init__(self, starts: list[str]) -> None:
        self.found = Verification()
        self._heads: deque[str] = deque(reversed(starts), maxlen=_MAX_FORK_DISTANCE)
        self._ends = set(starts)  # of branches: to go on from one is no fork
        self._seen: set[str] = set()
        self._doubtful: Spot | None = None

    def take(self, file: AuditFile, number: int, line: bytes) -> None:
        """The next line, its line end included."""
        body = line.rstrip(b"\n")
        if not body.strip():
            return
        entry = read_line(body)
        if entry is None:
            self._settle_doubt(proven=False)
            self._doubtful = self._doubt(file, number, line)
        elif HASH not in entry:
            self.found.bare += 1
            if not entry.keys() <= _BARE_KEYS:
                self._note(self.found.faults, file, number, "an entry that nobody writes so")
        else:
            self._follow(file, number, body, entry)

    def finish(self) -> None:
        self._settle_doubt(proven=True)

    def _doubt(self, file: AuditFile, number: int, line: bytes) -> Spot | None:
        """A line that is no entry: cut short by a crash, or altered? What follows tells."""
        if _has_more_than_an_entry(line):
            self._note(self.found.faults, file, number, "more than one entry in a line")
            return None
        if line.endswith(b"\n"):
            return Spot(file.name, number, "no entry any more")
        self._note(self.found.torn, file, number, "cut short")
        return None

    def _settle_doubt(self, *, proven: bool) -> None:
        if self._doubtful:
            kind = self.found.faults if proven else self.found.torn
            kind.append(self._doubtful)
        self._doubtful = None

    def _follow(self, file: AuditFile, number: int, body: bytes, entry: Json) -> None:
        self.found.entries += 1
        stored = entry[HASH]
        text = covered_text(entry)
        previous = next((head for head in self._heads if chained(head, text) == stored), None)
        if previous is None:
            self._settle_doubt(proven=True)
            self._note(self.found.faults, file, number, "altered, or entries before it are missing")
            self._extend(chained(self._heads[0], text))
        else:
            self._settle_doubt(proven=False)
            self._note_oddities(file, number, body, entry, previous)
        if isinstance(stored, str):
            self._extend(stored)

    def _note_oddities(
        self, file: AuditFile, number: int, body: bytes, entry: Json, previous: str
    ) -> None:
        if body != json.dumps(entry).encode():
            self._note(self.found.faults, file, number, "not as it was written")
        if entry[HASH] in self._seen:
            self._note(self.found.faults, file, number, "repeated")
        elif previous not in self._ends:
            self._note(self.found.forks, file, number, "fork")
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
