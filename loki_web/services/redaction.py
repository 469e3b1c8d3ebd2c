"""Secrets are taken out where text leaves the server, the words around them stay."""

import re
from collections import deque
from itertools import islice
from typing import Any

REDACTED = "[redacted]"

_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))"  # a word's, or after an escaped line end
_TOKENS = re.compile(
    rf"""(?x)
    {_START}(?:
        sk-[A-Za-z0-9_-]{{12,}}                               # Anthropic, OpenAI and alike
      | (?:sk|rk)_(?:live|test)_[A-Za-z0-9]{{10,}}            # Stripe
      | (?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{{16,}}         # GitHub
      | glpat-[A-Za-z0-9_-]{{16,}}                            # GitLab
      | (?:AKIA|ASIA)[A-Z0-9]{{16}}                           # AWS key ids
      | xox[a-z]-[A-Za-z0-9-]{{8,}}                           # Slack
      | AIza[A-Za-z0-9_-]{{30,}}                              # Google
      | loki_(?=[a-z_-]{{0,64}}[A-Z0-9])[A-Za-z0-9_-]{{20,}}  # ours, unlike a metric's name
      | loki_[A-Za-z0-9_-]{{40,}}
    )
    """
)
# Begins at the beginning of a run only: one search a run, however long.
_SIGNED_JSON = re.compile(
    r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt]))"
    r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
)
_NAMED = r"(\\?[\"']?\s*[:=]{1,3}>?\s*)"
_QUOTED = r"\\\"[^\"\\\r\n]+(?:\\\")?|\"(?:[^\"\\\r\n]|\\.)+\"?|'[^'\r\n]+'?"
_PARAMETER = r"[\w-]+=(?:\\?\"[^\"\\]*\\?\"|[^\s\",\\]+)"
_AUTHORIZATION = re.compile(
    rf"(?i)((?:proxy-)?authorization)({_NAMED[1:-1]}\\?[\"']?)(?:[a-z][\w-]*\s+)?"
    rf"(?:{_PARAMETER}(?:,\s*{_PARAMETER})*|[^\s\"'\\,]+)"
)
_COOKIE = re.compile(
    rf"(?i)((?:set-)?cookie)({_NAMED[1:-1]}\\?[\"']?)[^\s\"';\\]+(?:;\s*[^\s\"';\\]+)*"
)
# A word after "basic" or "bearer" is no credential unless it looks like one.
_BEARER = re.compile(
    r"(?i)\b(bearer|basic)(\s+)"
    r"(?-i:(?=\S{0,200}(?:[0-9]|[a-z][A-Z]|\w=)))[A-Za-z0-9._~+/-]{8,}=*"
)
_SENSITIVE = r"password|passwd|passphrase|secret|(?:api|access|auth|secret|private)[_-]?key|token"
_SENSITIVE_KEY = re.compile(rf"(?i).*(?:{_SENSITIVE}|authorization|cookie)", re.DOTALL)
_ASSIGNED = re.compile(
    rf"(?i)({_SENSITIVE}){_NAMED}(?:{_QUOTED}|(?!\[redacted\])[^\s\"'&,;}})\]\\]+)"
)
_FLAG = re.compile(rf"(?i)(--[\w-]{{0,30}}(?:{_SENSITIVE}))(\s+)(?:{_QUOTED}|(?!-)[^\s\"'\\]+)")
_URL_PASSWORD = re.compile(
    r"(?i)\b([a-z][a-z0-9+.-]{1,15}://[^\s:/@]{0,100}:)[^\s/?#\"'<>\\]{1,300}(@)"
)
_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{1,40}-----.*?(?:-----END [A-Z0-9 ]{1,40}-----|\Z)", re.DOTALL
)
_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{1,40}-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{1,40}-----")
_PEM_LINE = re.compile(r"[\s|>]*(?:[A-Za-z0-9+/]{8,}={0,2}|(?:Proc-Type|DEK-Info): .*)\s*")
_PEM_BODY = re.compile(r"[\s|>]*[A-Za-z0-9+/]{40,}={0,2}\s*")
_MOST_PEM_LINES = 300
_HINTS = (
    *("sk-", "_live_", "_test_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"),
    *("akia", "asia", "xox", "aiza", "eyj", "loki_", "authorization", "cookie", "bearer", "basic"),
    *("password", "passwd", "passphrase", "secret", "key", "token", "://", "-----begin "),
)  # without any of these no pattern here can match


def redact(text: str) -> str:
    """The text with every secret replaced by `[redacted]`."""
    lowered = text.lower()
    if not any(hint in lowered for hint in _HINTS):
        return text
    text = _PEM.sub(REDACTED, text)
    text = _AUTHORIZATION.sub(rf"\1\2{REDACTED}", text)
    text = _COOKIE.sub(rf"\1\2{REDACTED}", text)
    text = _BEARER.sub(rf"\1\2{REDACTED}", text)
    text = _SIGNED_JSON.sub(REDACTED, text)
    text = _TOKENS.sub(REDACTED, text)
    text = _ASSIGNED.sub(rf"\1\2{REDACTED}", text)
    text = _FLAG.sub(rf"\1\2{REDACTED}", text)
    return _URL_PASSWORD.sub(rf"\1{REDACTED}\2", text)


def redact_within(value: Any) -> Any:
    """A copy of a JSON value in which every text is redacted, and what a key calls a secret."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [redact_within(item) for item in value]
    if isinstance(value, dict):
        return {key: _redact_under(key, item) for key, item in value.items()}
    return value


def _redact_under(key: str, value: Any) -> Any:
    if isinstance(value, str) and value and _SENSITIVE_KEY.fullmatch(key):
        return REDACTED
    return redact_within(value)


def redact_lines(lines: list[str]) -> list[str]:
    """The same for consecutive lines of a log, where a key block spans several of them.

    As many lines come out as went in. A block whose beginning lies before the first line is known
    by its end; one without an end in reach lasts as long as its lines look like a key's.
    """
    ends = deque(index for index, line in enumerate(lines) if _has(_PEM_END, line))
    kept: list[str] = []
    last_inside = -1
    for index, line in enumerate(lines):
        while ends and ends[0] < index:
            ends.popleft()
        if index <= last_inside:
            kept.append(REDACTED)
        elif ends and ends[0] == index and not _has(_PEM_BEGIN, line):
            _redact_body_before(kept)
            kept.append(REDACTED)
        else:
            kept.append(redact(line))
        if _is_open_at_end(line):
            following = next((end for end in islice(ends, 2) if end > index), None)
            last_inside = _end_of_block(lines, index, following)
    return kept


def _has(mark: re.Pattern[str], line: str) -> bool:
    return "-----" in line and mark.search(line) is not None


def _is_open_at_end(line: str) -> bool:
    if not _has(_PEM_BEGIN, line):
        return False
    *_, last = _PEM_BEGIN.finditer(line)
    return _PEM_END.search(line, last.end()) is None


def _end_of_block(lines: list[str], begin: int, end: int | None) -> int:
    """The last line of the block that begins in line `begin`."""
    if end is not None and end - begin <= _MOST_PEM_LINES:
        return end
    last = begin
    while last + 1 < len(lines) and _PEM_LINE.fullmatch(lines[last + 1]):
        last += 1
    return last


def _redact_body_before(kept: list[str]) -> None:
    for index in range(len(kept) - 1, -1, -1):
        if not _PEM_BODY.fullmatch(kept[index]):
            return
        kept[index] = REDACTED
