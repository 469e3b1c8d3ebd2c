"""Verify the hash chain of the audit log: a single altered byte is reported with file and line.

The chain alone proves little, since everybody can compute it. Entries that the signed end does not
cover are reported as unproven: those without a hash, forks, and those older than the key.
"""

import json
from collections import deque
from dataclasses import dataclass, field, replace

from loki_web.audit.log import (
    GENESIS,
    HASH,
    AuditFile,
    AuditLog,
    hash_entry,
    parse_line,
    serialize_entry,
)
from loki_web.audit.seal import Seal, open_seal
from loki_web.services.context import Sources
from loki_web.store import json_text
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
    :param unproven: entries that the signed end of the log does not cover.
    """

    files: int = 0
    entries: int = 0
    bare: int = 0
    faults: list[Spot] = field(default_factory=list)
    forks: list[Spot] = field(default_factory=list)
    torn: list[Spot] = field(default_factory=list)
    unproven: list[Spot] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether no entry was altered."""
        return not self.faults

    @property
    def is_proven(self) -> bool:
        """Return whether all entries are there as the server wrote them, and no others."""
        return not (self.faults or self.forks or self.unproven)


def verify_log(sources: Sources) -> Verification:
    """Follow the chain through all files, oldest first, up to the signed end.

    Without a key nothing is proven.

    :return: at most MAX_REPORTED spots of each kind, in order.
    """
    log, seal = AuditLog(sources), open_seal(sources)
    files, anchors = log.list_files(), log.list_anchors()
    signed_hashes = {anchor["hash"] for anchor in anchors if seal and seal.has_signed(anchor)}
    walk = _Walk(
        [GENESIS, *(anchor["hash"] for anchor in anchors)], {GENESIS, *signed_hashes}, seal
    )
    for name in log.list_irregular_names():
        walk.result.faults.append(Spot(name, 1, "not a regular file"))
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
    :param trusted: those of them that are signed.
    """

    def __init__(self, starts: list[str], trusted: set[str], seal: Seal | None) -> None:
        self.result = Verification()
        self._trusted = trusted
        self._end = seal.read_end() if seal else None
        self._last: Spot | None = None
        self._old: Spot | None = None  # the last entry that is older than the key
        self._reached = bool(self._end and self._end.last in trusted)
        self._is_complete = not (self._end and self._end.pending)
        self._added: Spot | None = None  # the first entry after the signed end
        self._heads: deque[str] = deque(reversed(starts), maxlen=_MAX_FORK_DISTANCE)
        self._starts = set(starts)
        self._ends = set(starts)  # of branches: continuing from one is no fork
        self._hashes: set[str] = set()
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
            self._note(self.result.unproven, file, number, "an entry without a hash")
            if not entry.keys() <= _BARE_KEYS:
                self._note(self.result.faults, file, number, "unexpected keys")
        else:
            self._follow(file, number, body, entry)

    def finish(self) -> None:
        """Report what only the end of the log can show."""
        self._settle_doubt(proven=True)  # no entry follows the malformed line
        last = self._last or Spot("audit log", 0, "")
        if self._end is None:
            if self._last:
                self._note_unproven(last, "without a signed end no entry up to here is proven")
            return
        if not self._reached:
            self.result.faults.append(replace(last, about="entries after this one are missing"))
        elif not self._is_complete:
            self._note_unproven(last, "the entry after this one was not written, or is missing")
        self._note_unproven(self._old, "entries up to here are older than the key")
        self._note_unproven(self._added, "entries from here on were not added by the server")

    def _note_unproven(self, spot: Spot | None, about: str) -> None:
        if spot:
            self.result.unproven.append(replace(spot, about=about))

    def _compare_with_end(self, spot: Spot, entry_hash: object) -> None:
        """Note where an entry is: before the key came into use, or after the signed end."""
        self._last = spot
        if self._end is None:
            return
        if entry_hash == self._end.start:
            self._old = spot
        if entry_hash in (self._end.last, self._end.pending):
            self._reached = True
            self._is_complete = self._is_complete or entry_hash == self._end.pending
        elif self._reached:
            self._added = self._added or spot

    def _doubt(self, file: AuditFile, number: int, line: bytes) -> Spot | None:
        """Return the place of a malformed line whose cause only the next entry can show.

        If the chain continues there, a crash truncated the line; otherwise it was altered.
        """
        if _has_more_than_an_entry(line):
            self._note(self.result.faults, file, number, "more than one entry in a line")
            return None
        if _is_listed(line):
            self._note(self.result.faults, file, number, "not in the form of an entry")
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
        entry_hash = entry[HASH]
        text = serialize_entry(entry)
        previous = next(
            (head for head in self._heads if hash_entry(head, text) == entry_hash), None
        )
        if previous is None:
            self._settle_doubt(proven=True)
            self._note(
                self.result.faults, file, number, "altered, or entries before it are missing"
            )
            self._extend(hash_entry(self._heads[0], text))
        else:
            self._settle_doubt(proven=False)
            self._note_oddities(file, number, body, entry, previous)
        self._ends -= self._starts  # only the first entry continues from one of these
        if isinstance(entry_hash, str):
            self._extend(entry_hash)
        self._compare_with_end(Spot(file.name, number, ""), entry_hash)

    def _note_oddities(
        self, file: AuditFile, number: int, body: bytes, entry: Json, previous: str
    ) -> None:
        if body != json.dumps(entry).encode():
            self._note(self.result.faults, file, number, "not in the form in which it was written")
        if entry[HASH] in self._hashes:
            self._note(self.result.faults, file, number, "repeated")
        elif previous not in self._ends:
            self._note(self.result.forks, file, number, "fork")
        elif previous in self._starts - self._trusted:
            self._note(self.result.unproven, file, number, "continues from an unsigned anchor")
        self._ends.discard(previous)

    def _extend(self, head: str) -> None:
        if len(self._heads) == self._heads.maxlen:
            oldest = self._heads.pop()
            self._hashes.discard(oldest)
            self._ends.discard(oldest)
        self._heads.appendleft(head)
        self._hashes.add(head)
        self._ends.add(head)

    def _note(self, spots: list[Spot], file: AuditFile, number: int, about: str) -> None:
        if len(spots) < MAX_REPORTED:
            spots.append(Spot(file.name, number, about))


def _is_listed(line: bytes) -> bool:
    """Return whether queries read an entry from a malformed line; no crash leaves such a line."""
    try:
        return isinstance(json_text.parse(line), dict)
    except json_text.Damaged:
        return False


def _has_more_than_an_entry(line: bytes) -> bool:
    try:
        value, end = json.JSONDecoder().raw_decode(line.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and end > 0
