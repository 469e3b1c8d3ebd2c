"""Redaction of secrets in texts and JSON values before they leave the server.

Each search starts at a literal that `str.find` finds and continues with possessive patterns, so
that its time is linear in the length of any text.
"""

import json
import re
import sys
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, groupby, islice, pairwise
from typing import Any

from loki_web.services.secrets import commands, places, values
from loki_web.services.secrets import names as secrets_names
from loki_web.services.secrets.names import Kind
from loki_web.services.secrets.patterns import SHORTEST_RUN, TOKENS, compile_once
from loki_web.services.secrets.values import REDACTED, Span

__all__ = ["REDACTED", "redact", "redact_lines", "redact_within"]

_RUN = re.compile(rf"[A-Za-z0-9_.-]{{{SHORTEST_RUN}}}")
_PREFIXES = tuple(dict.fromkeys(prefix for prefix, _ in TOKENS))
_SHORT = 150
_SINGLE = tuple(prefix for prefix in _PREFIXES if len(prefix) == 1)
_BY_START = {
    start: tuple(prefixes)
    for start, prefixes in groupby(sorted(_PREFIXES), lambda prefix: tuple(prefix[:2]))
}
_HINTS = (
    *(*secrets_names.HINTS, *commands.HINTS, "://", "bearer", "basic ", "identified by "),
    *("login(", "begin ", "private-lines: "),
)
_ASCII_HINTS = tuple(filter(str.isascii, _HINTS))
# Key blocks as PEM, of SSH2 and of PuTTY.
_PEM_BEGIN = re.compile(
    r"-----BEGIN [A-Z0-9 ]{1,40}-----|---- BEGIN SSH2 [A-Z0-9 ]{1,40}----"
    r"|Private-Lines: \d{1,4}+(?! ?\w)"
)
_PEM_END = re.compile(
    r"-----END [A-Z0-9 ]{1,40}-----|---- END SSH2 [A-Z0-9 ]{1,40}----|Private-MAC: [0-9a-f]{8,}+"
)
_MARGIN = r"[\s|>\"'+#*]*+"
_BASE64 = r"[A-Za-z0-9+/]"
_END_OF_LINE = r"(?:\\n)?[\s\"'+,]*+"
_PEM_BODY = re.compile(rf"{_MARGIN}{_BASE64}{{40,}}+={{0,2}}{_END_OF_LINE}")
_PEM_LINE = re.compile(
    rf"{_MARGIN}(?:{_BASE64}{{8,}}+={{0,2}}|(?:Proc-Type|DEK-Info|Comment): .*){_END_OF_LINE}"
    rf"|.{{0,80}}\s{_BASE64}{{60,80}}+={{0,2}}{_END_OF_LINE}"
)
_MOST_PEM_LINES = 300
_MOST_CLEAN_LINES = 1 << 15
_MOST_BYTES = 512 * 1024  # of a generation of lines with a secret
_LINE_BYTES = 256  # of one besides its characters
_MOST_CONTINUED_LINES = 20
_OPEN_ENDS = (":", "=", "|", ">", ",", "\\", "earer")
_OPEN_HINT = re.compile("|".join((*secrets_names.HINTS, "login", "bearer", r"\\\Z")), re.IGNORECASE)
_SCHEME = re.compile(r"(?i)(?:bearer,?|basic)\s++([A-Za-z0-9._~+/-]{8,}+=*+)(?!\w)")
# A word after "basic" or "bearer" is a credential only if it has one of these.
_CREDENTIAL_MARK = re.compile(r"[0-9]|[a-z][A-Z]|\w=")
_USER_INFO = re.compile(r"(?:[^@\s/?#\"'<>\\]{0,300}+@)++")
_USER_INFO_WITH_SLASHES = re.compile(
    r"[^@:\s/?#\"'<>\\]{0,100}+:(?!\d{1,5}/)[^@\s\"'<>\\]{1,300}+@"
)
_USER_NAME = re.compile(r"[A-Z]?[a-z][a-z._-]{0,22}\d{0,4}")
_IDENTIFIED = re.compile(r"identified by (?:password )?", re.IGNORECASE)
# login("user", "password"), HTTPBasicAuth("user", "password"), auth=("user", "password")
_FIRST_ARGUMENT = re.compile(
    r"[^(]{4,5}\(\s?\\{0,7}([\"'])[^\s\"'\\]{1,100}+\\{0,7}\1,\s?(?=\\{0,7}[\"']\S)"
)
_SHORT_NAME = 200  # characters; longer ones are not cached
_NAME_KEYS = ("name", "key", "field", "header", "variable")
_VALUE_KEYS = ("value", "values", "val")
_PASSWORD = re.compile(
    r"(?!py\d|node\d)(?=\w*[A-Za-z])(?=\w*\d)\w{5,}"
)  # after -p of an unknown command
_COMMAND_KEYS = ("command", "cmd", "program", "executable")
_ARGUMENT_KEYS = ("args", "arguments", "argv")
_SPECIAL_KEYS = frozenset((*_VALUE_KEYS, *_ARGUMENT_KEYS))


def redact(text: str) -> str:
    """Return the text with every secret replaced by `[redacted]`.

    A JSON text is redacted by its keys, and serialized again if it contains a secret.
    """
    lowered, hints = _find_hints(text)
    if not hints and not _RUN.search(text):
        return text
    if hints and (clean := _redact_json(text)) is not None:
        return clean
    spans = _find_spans(text, lowered, hints)
    return _replace_spans(text, spans, REDACTED) if spans else text


def redact_name(text: str) -> str:
    """Return a text as `redact` does, from a cache: few names are in many entries."""
    return _redact_short_name(text) if len(text) <= _SHORT_NAME else redact(text)


@lru_cache(4096)
def _redact_short_name(text: str) -> str:
    return sys.intern(redact(text))


def _find_hints(text: str) -> tuple[str, list[str]]:
    """Return the text in lower case, and the hints in it."""
    if text.isascii():
        lowered, hints = text.lower(), _ASCII_HINTS
    else:
        lowered, hints = secrets_names.lower_text(text), _HINTS
    return lowered, [hint for hint in hints if hint in lowered]


def _find_spans(text: str, lowered: str, hints: list[str]) -> list[Span]:
    spans = list(_find_tokens(text)) if _RUN.search(text) else []
    for hint in hints:
        find = commands.find if hint in commands.HINTS else _find_after_hint
        spans += find(text, lowered, hint)
    return sorted(spans)


def redact_within(value: Any) -> Any:
    """Return a copy of a JSON value, redacted: secrets in texts, and values by their keys."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return _redact_list(value)
    if isinstance(value, dict):
        return _redact_dict(value)
    return value


def _redact_list(items: list[Any], command: str = "") -> list[Any]:
    """Redact each item; an item after an option like `--password` is a secret.

    :param command: the command of which the items are arguments, if it is not the first item.
    """
    clean: list[Any] = []
    before = ""
    for item in items:
        is_option = isinstance(before, str) and before.startswith("-")
        is_pair = len(items) == 2 and bool(clean) and _is_named(before, item)
        if is_pair:
            clean.append(REDACTED)
        else:
            clean.append(_redact_under(before, item) if is_option else redact_within(item))
        before = item
    if any(isinstance(item, str) and item.startswith("-") for item in items):
        _redact_arguments(items, command, clean)
    return clean


def _redact_arguments(items: list[Any], command: str, clean: list[Any]) -> None:
    """Replace the passwords in the options of a command, such as `["mysql", "-px"]`."""
    words = [command, *(item if isinstance(item, str) else "" for item in items)]
    for index, at in commands.find_items(words):
        if index:
            clean[index - 1] = words[index][:at] + REDACTED
    if command or not str(items[0]).startswith("-"):
        return
    for index, (option, value) in enumerate(pairwise(items), 1):
        if option == "-p" and isinstance(value, str) and _PASSWORD.fullmatch(value):
            clean[index] = REDACTED


def _is_named(name: Any, value: Any) -> bool:
    """Return whether an item after a name, as in `["X-API-Key", "x1"]`, is a secret."""
    if not (isinstance(name, str) and isinstance(value, str)):
        return False
    kind = secrets_names.classify_key(name)
    if kind is Kind.COOKIE:
        return "=" in value
    return kind in secrets_names.SURE and values.is_secret(value, Kind.QUALIFIED)


def _redact_dict(items: dict[str, Any]) -> dict[str, Any]:
    """Redact by keys, and the value in `{"name": "password", "value": "x"}`, in any case.

    Each value is redacted once: twice at each level would double the work with every level.
    """
    if _SPECIAL_KEYS.isdisjoint(map(str.lower, items)):
        return {redact_name(key): _redact_under(key, item) for key, item in items.items()}
    name = _find_text(items, _NAME_KEYS, lambda text: secrets_names.classify_key(text) is not None)
    command = _find_text(items, _COMMAND_KEYS, bool)
    clean = {}
    for key, item in items.items():
        if isinstance(item, list) and key.lower() in _ARGUMENT_KEYS:
            clean[key] = _redact_list(item, command)
        else:
            is_named = name and key.lower() in _VALUE_KEYS
            clean[redact_name(key)] = _redact_under(name if is_named else key, item)
    return clean


def _find_text(items: dict[str, Any], keys: Sequence[str], accept: Callable[[str], bool]) -> str:
    """Return the first text with one of the keys that is accepted; empty without one."""
    texts = (item for key, item in items.items() if key.lower() in keys)
    return next((text for text in texts if isinstance(text, str) and accept(text)), "")


def _redact_under(name: str, value: Any) -> Any:
    kind = secrets_names.classify_key(name)
    if kind is None:
        return redact_within(value)
    if kind not in values.DOUBTFUL:
        return _hide(value, numbers=kind is Kind.PHRASE)
    is_number = kind in values.NUMBERS and isinstance(value, int)
    content = str(value) if is_number else value
    if isinstance(content, str) and content and values.is_secret(content, kind):
        return REDACTED
    return redact_within(value)


def _hide(value: Any, *, numbers: bool) -> Any:
    """Replace every text in a value, and with `numbers` every number, which may be a password."""
    if isinstance(value, list):
        return [_hide(item, numbers=numbers) for item in value]
    if isinstance(value, dict):
        return {redact_name(key): _hide(item, numbers=numbers) for key, item in value.items()}
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_secret = (
        values.is_secret(value, Kind.WORD) if isinstance(value, str) else numbers and is_number
    )
    return REDACTED if is_secret else value


def _redact_json(text: str) -> str | None:
    """Return the redacted text of an object, array or string, None for a text that is none."""
    if text[:1] not in ("{", "[", '"') or text.rstrip()[-1:] not in ("}", "]", '"'):
        return None
    try:
        value = json.loads(text)
        clean = redact_within(value)
    except (ValueError, RecursionError):
        return None
    return text if clean == value else json.dumps(clean, ensure_ascii="\\u" in text)


def _replace_spans(text: str, spans: list[Span], mark: str, *, keep_lines: bool = False) -> str:
    """Return the text with a mark in place of the spans, which may overlap.

    :param keep_lines: whether each line of a span gets a mark.
    """
    parts = []
    end = -1
    for start, stop in spans:
        if start > end:
            count = text.count("\n", start, stop) if keep_lines else 0
            parts += [text[max(end, 0) : start], mark + f"\n{mark}" * count]
        end = max(end, stop)
    return "".join((*parts, text[max(end, 0) :]))


def _find_tokens(text: str) -> Iterator[Span]:
    """Find the secrets with a well-known format."""
    possible = _PREFIXES if len(text) > _SHORT else _choose_prefixes(text)
    prefixes = {prefix for prefix in possible if prefix in text}
    for prefix, pattern in TOKENS if prefixes else ():
        if prefix in prefixes:
            yield from (match.span() for match in compile_once(pattern).finditer(text))


def _choose_prefixes(text: str) -> Iterator[str]:
    """Return the prefixes whose first two characters are in a text: faster than to try them all."""
    return chain(_SINGLE, *(_BY_START[pair] for pair in _BY_START.keys() & set(pairwise(text))))


def _find_after_hint(text: str, lowered: str, hint: str) -> Iterator[Span]:
    """Find the secrets that follow a hint, with one look at each occurrence."""
    read = _READERS.get(hint, _find_named)
    at = lowered.find(hint)
    while at >= 0:
        span = read(text, lowered, at)
        if span:
            yield span
        at = lowered.find(hint, max(span[1] if span else 0, at + 1))


def _find_named(text: str, lowered: str, at: int) -> Span | None:
    name = secrets_names.find_name(text, lowered, at)
    return places.find_after(text, name[1], at, name[0]) if name else None


def _find_key_block(text: str, lowered: str, at: int) -> Span | None:
    begin = _PEM_BEGIN.match(text, at)
    if begin is None:
        return None
    end = _PEM_END.search(text, begin.end())
    return at, end.end() if end else len(text)


def _find_credential(text: str, lowered: str, at: int) -> Span | None:
    match = _SCHEME.match(text, at)
    if match is None or text[max(0, at - 1) : at].isalnum():
        return None
    return match.span(1) if _CREDENTIAL_MARK.search(match[1][:200]) else None


def _find_user_info(text: str, lowered: str, at: int) -> Span | None:
    """Find the password in `://user:password@host`, or a user that is a token."""
    start = at + len("://")
    if text.find("@", start, start + 700) < 0:
        return None
    match = _USER_INFO.match(text, start)
    if match is None and not lowered.endswith(("http", "https"), 0, at):
        match = _USER_INFO_WITH_SLASHES.match(text, start)
    if match is None:
        return None
    user, colon, password = match[0][:-1].partition(":")
    if colon:
        return (start + len(user) + 1, match.end() - 1) if password else None
    return None if not user or _USER_NAME.fullmatch(user) else (start, match.end() - 1)


def _find_sql_password(text: str, lowered: str, at: int) -> Span | None:
    """Find the password of SQL's `IDENTIFIED BY 'x'`."""
    match = _IDENTIFIED.match(text, at)
    return values.find_quoted(text, match.end()) if match else None


def _find_second_argument(text: str, lowered: str, at: int) -> Span | None:
    match = _FIRST_ARGUMENT.match(text, at)
    span = values.find_quoted(text, match.end()) if match else None
    return span if span and values.is_secret(values.read(text, span), Kind.QUALIFIED) else None


def _find_auth(text: str, lowered: str, at: int) -> Span | None:
    is_call = lowered.startswith(("auth(", "auth=("), at)
    span = _find_second_argument(text, lowered, at) if is_call else None
    return span or _find_named(text, lowered, at)


_READERS = {
    "login(": _find_second_argument,
    "auth": _find_auth,
    "://": _find_user_info,
    "begin ": lambda text, lowered, at: _find_key_block(text, lowered, max(0, at - len("-----"))),
    "private-lines: ": _find_key_block,
    "bearer": _find_credential,
    "basic ": _find_credential,
    "identified by ": _find_sql_password,
}


class _RedactedLines:
    """Remembers how lines of logs were redacted: clients read the same lines again and again.

    Of lines without a secret only hashes are held, in a table of a fixed size: with the lines
    themselves, few that outlive a large request would keep its memory from being returned. Each
    hash has one of two places, the newest first. Two lines have the same hash of 64 bits with a
    probability of 2 ** -64. Lines with a secret are held in two generations of a bounded size: one
    that is not read while the second generation grows is forgotten.
    """

    def __init__(self) -> None:
        self._clean = array("q", bytes(8 * _MOST_CLEAN_LINES))
        self._old: dict[str, str] = {}
        self._young: dict[str, str] = {}
        self._size = 0

    def find(self, line: str) -> str:
        """Return the redacted line. Two threads may redact one line, as there is no lock."""
        value, hashes = hash(line), self._clean
        place = value % _MOST_CLEAN_LINES & ~1
        if value == hashes[place] or value == hashes[place + 1]:
            return line
        redacted = self._young.get(line)
        if redacted is None:
            redacted = self._old.get(line) or redact(line)
            if redacted == line:
                hashes[place + 1] = hashes[place]
                hashes[place] = value
            else:
                self._add(line, redacted)
        return redacted

    def _add(self, line: str, redacted: str) -> None:
        if self._size > _MOST_BYTES:
            self._old, self._young, self._size = self._young, {}, 0
        self._young[line] = redacted
        self._size += 2 * len(line) + _LINE_BYTES


_redacted = _RedactedLines()


def redact_lines(lines: list[str]) -> list[str]:
    """Redact consecutive lines of a log, with key blocks and values that span several lines.

    The number of lines does not change. A block that begins before the first line is recognized by
    its end; a block without an end within _MOST_PEM_LINES ends at the first line that does not look
    like part of a key.
    """
    ends = deque(index for index, line in enumerate(lines) if _has_marker(_PEM_END, line))
    clean = _redact_each(lines)
    redacted: list[str] = []
    last_inside = -1
    for index, line in enumerate(lines):
        while ends and ends[0] < index:
            ends.popleft()
        if index <= last_inside:
            redacted.append(REDACTED)
        elif ends and ends[0] == index and not _has_marker(_PEM_BEGIN, line):
            _redact_body_before(redacted)
            redacted.append(REDACTED)
        else:
            redacted.append(clean[index])
        if _is_open_at_end(line):
            following = next((end for end in islice(ends, 2) if end > index), None)
            last_inside = _find_block_end(lines, index, following)
    return redacted


def _redact_each(lines: list[str]) -> list[str]:
    """Redact each line, together with those that may continue it."""
    clean: list[str] = []
    stop = 0
    for start in range(len(lines)):
        if start < stop:
            continue
        stop = _find_continued_end(lines, start)
        if stop == start + 1:
            clean.append(_redacted.find(lines[start]))
        else:
            text = "\n".join(lines[start:stop])
            spans = _find_spans(text, *_find_hints(text))
            clean += _replace_spans(text, spans, REDACTED, keep_lines=True).split("\n")
    return clean


def _find_continued_end(lines: list[str], start: int) -> int:
    """Return the index after the lines that may have the value of a name in line `start`."""
    stop = start + 1
    if not _continues(lines, stop) or not _OPEN_HINT.search(lines[start][-60:]):
        return stop
    while stop < start + _MOST_CONTINUED_LINES and _continues(lines, stop):
        stop += 1
    return stop


def _continues(lines: list[str], index: int) -> bool:
    if index == len(lines):
        return False
    before, line = lines[index - 1], lines[index]
    if not (line.startswith((" ", "\t", "]", "}")) or before.endswith(_OPEN_ENDS)):
        return False
    return not any(mark in each for mark in ("\n", "----", "Private-") for each in (before, line))


def _has_marker(mark: re.Pattern[str], line: str) -> bool:
    return ("----" in line or "Private-" in line) and mark.search(line) is not None


def _is_open_at_end(line: str) -> bool:
    if not _has_marker(_PEM_BEGIN, line):
        return False
    *_, last = _PEM_BEGIN.finditer(line)
    return _PEM_END.search(line, last.end()) is None


def _find_block_end(lines: list[str], begin: int, end: int | None) -> int:
    """Return the index of the last line of the block that begins in line `begin`."""
    if end is not None and end - begin <= _MOST_PEM_LINES:
        return end
    last = begin
    while last + 1 < len(lines) and _PEM_LINE.fullmatch(lines[last + 1]):
        last += 1
    return last


def _redact_body_before(redacted: list[str]) -> None:
    for index in range(len(redacted) - 1, -1, -1):
        if not _PEM_BODY.fullmatch(redacted[index]):
            return
        redacted[index] = REDACTED
