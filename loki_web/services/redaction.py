"""Secrets are taken out where text leaves the server, the words around them stay."""

import re
from typing import Any

REDACTED = "[redacted]"

_TOKENS = re.compile(
    r"""(?x)
    \b(?:
        sk-(?:ant-|proj-|live-|test-)?[A-Za-z0-9_-]{12,}      # Anthropic, OpenAI and alike
      | (?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{16,}           # GitHub
      | glpat-[A-Za-z0-9_-]{16,}                              # GitLab
      | (?:AKIA|ASIA)[A-Z0-9]{16}                             # AWS key ids
      | xox[a-z]-[A-Za-z0-9-]{8,}                             # Slack
      | AIza[A-Za-z0-9_-]{30,}                                # Google
      | eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*  # signed JSON tokens
      | loki_[A-Za-z0-9_-]{20,}                               # ours
    )
    """
)
_NAMED = r"(\\?[\"']?\s*[:=]\s*\\?)"
_AUTHORIZATION = re.compile(
    rf"(?i)\b((?:proxy-)?authorization){_NAMED}[\"']?(?:[a-z][\w-]*\s+)?[^\s\"'\\,]+"
    r"(?:,\s*\w+=\"?[^\s\",]*\"?)*"
)
_COOKIE = re.compile(rf"(?i)\b((?:set-)?cookie){_NAMED}[\"']?[^\s\"';]+(?:;\s*[^\s\"';]+)*")
_BEARER = re.compile(r"(?i)\b(bearer|basic)(\s+)[A-Za-z0-9._~+/-]{8,}=*")
_SENSITIVE = r"password|passwd|passphrase|secret|(?:api|access|auth|secret|private)[_-]?key|token"
_SENSITIVE_KEY = re.compile(rf"(?i).*(?:{_SENSITIVE}|authorization|cookie)", re.DOTALL)
_ASSIGNED = re.compile(
    rf"(?i)({_SENSITIVE}){_NAMED}"
    r"(?:\"(?:[^\"\\\r\n]|\\.)+\"?|'[^'\r\n]+'?|(?!\[redacted\])[^\s\"'&,;})\]]+)"
)
_URL_PASSWORD = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,15}://[^\s:/@]{0,100}:)[^\s:/@]+(@)")
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL)
_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY-----")
_HINTS = (
    *("sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "akia", "asia"),
    *("xox", "aiza", "eyj", "loki_", "authorization", "cookie", "bearer", "basic", "password"),
    *("passwd", "passphrase", "secret", "key", "token", "://", "private key"),
)  # without any of these no pattern here can match
_PEM_BODY = re.compile(r"[\s|>]*[A-Za-z0-9+/]{40,}={0,2}\s*")


def redact(text: str) -> str:
    """The text with every secret replaced by `[redacted]`."""
    lowered = text.lower()
    if not any(hint in lowered for hint in _HINTS):
        return text
    text = _PEM.sub(REDACTED, text)
    text = _AUTHORIZATION.sub(rf"\1\2{REDACTED}", text)
    text = _COOKIE.sub(rf"\1\2{REDACTED}", text)
    text = _BEARER.sub(rf"\1\2{REDACTED}", text)
    text = _TOKENS.sub(REDACTED, text)
    text = _ASSIGNED.sub(rf"\1\2{REDACTED}", text)
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

    As many lines come out as went in; a block whose beginning lies before the first line is
    known by its end.
    """
    kept: list[str] = []
    inside = False
    for line in lines:
        begins, ends = _PEM_BEGIN.search(line), _PEM_END.search(line)
        if ends and not inside and not begins:
            _redact_body_before(kept)
        if inside or ends:
            kept.append(REDACTED)
        else:
            kept.append(redact(line))
        inside = (inside or bool(begins)) and not ends
    return kept


def _redact_body_before(kept: list[str]) -> None:
    for index in range(len(kept) - 1, -1, -1):
        if not _PEM_BODY.fullmatch(kept[index]):
            return
        kept[index] = REDACTED
