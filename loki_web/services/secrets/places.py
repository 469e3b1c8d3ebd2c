"""Search for the value that follows a secret's name."""

import re
from collections.abc import Iterator
from itertools import islice

from loki_web.services.secrets import prose, values
from loki_web.services.secrets.names import SURE, Kind
from loki_web.services.secrets.values import DOUBTFUL, REDACTED, Span

_MOST_LINES_OF_A_GROUP = 8
_MOST_ARGUMENTS = 4
# Blanks, colors of a terminal, and the stars of Markdown.
_GAP = r"(?:[\ \t\u00a0*]|(?:\x1b|\\{1,7}(?:u001b|x1b|033|e))\[[\d;]{0,12}m)"
_SEPARATOR = re.compile(
    rf"""(?x)
      \??\\{{0,7}}["'`]?\]?{_GAP}*+(?:(?:is[ ]\w{{1,20}}+[ ])?for[ ][^\s:]{{1,60}}+(?=:(?!//)))?
      (?: =true\](?=\w)
        | :[ ]?[A-Za-z_.]{{1,30}}+(?:\[[\w., |]{{1,30}}+\])?\??[ ]=(?=[ ]["'])  # after a type
        | [:=!：＝]{{1,3}}>?|->|[→⇒]|%3[ADad]
        | (?:/t[ ]\w{{1,20}}+[ ])?/d(?=[ ])  # of the command `reg add`
        | ,?\s*+\\{{0,7}}["']?(?:value|val)\\{{0,7}}["']?[ \t]*+[:=]   # "name": "x", "value": "y"
      )
      ((?:{_GAP}++|(?:\\[ \t]*+)?\r?\n[ \t]++(?![\w.-]{{1,60}}+:\s))*+)
    """
)
# What can follow a name if it has no separator.
_BLANKS = (" ", "\t", "|", "(")
_QUOTES = ('"', "'", "`", "\\", "]", "(")
_ELEMENT = re.compile(r">(?=[^<>\r\n]{1,200}+</)")
_FLAG = re.compile(r"(?<![\w-])--?[\w-]{0,30}\Z")
_AFTER_FLAG = re.compile(r"(?:\\{0,7}[\"'],)?[ \t]{1,4}(?:\\\n[ \t]{1,40}+)?(?![\"']?-)")
_ARGUMENT = re.compile(r"[\"']?\]?\\{0,7}[\"'`],[ \t]{0,4}(?=\\{0,7}[\"'`])")
# Before a name in quotes: a call that stores its value, or the selector of a field.
_SETTER = re.compile(
    r"(?i)(?:\b(?:set|put|append|add|define)(?!\w{0,20}(?:error|label|touch|attr|class|valid|argum))"
    r"\w{0,30}\( ?\\{0,7}[\"'`]|[#=][\"']?)[\w.: -]{0,40}\Z"
)
# setPassword("x"), .password("x"), $("#password").val("x")
_CALL = re.compile(
    r"(?i)((?:\\{0,7}[\"'`]\]?){1,2}\)\.(?:type|fill|send_?keys|set\w{0,20}|val))?"
    r"\(\s?(?=\\{0,7}[\"'`]\S)"
)
_READERS = ("get", "ask", "read", "prompt", "input", "find", "has", "forgot", "load", "show")
# The value of a name follows after a blank if one of these precedes it, or if it is a directive.
_DECLARATIONS = (
    *("ENV ", "ARG ", "setenv ", "SetEnv ", "set -x ", "set -gx ", "set -Ux ", "setx "),
    *(
        "fastcgi_param ",
        "uwsgi_param ",
        "config set ",
        "configure set ",
        "CONFIG SET ",
        "git config ",
        "--global ",
    ),
    *("user-secrets set ", "kv put ", "etcdctl put "),
)
_DIRECTIVES = (
    *("requirepass", "masterauth", "bindpw", "rootpw", "setapikey"),
    *("storePassword", "keyPassword"),
)
_COMMANDS = ("mysqladmin ", "nmcli ")  # whose word "password" is followed by one
_SMTP = re.compile(r" (?:PLAIN|LOGIN|XOAUTH2|CRAM-MD5) (?=[A-Za-z0-9+/=]{12})")
_BLOCK = re.compile(r"[|>][+-]?\d?[ \t]*+\r?\n(?P<indent>[ \t]++)[^\n]*+(?:\n(?P=indent)[^\n]*+)*+")
_IDENTIFIER = r"[A-Za-z_]{1,40}+(?:\.[A-Za-z_]{1,40}+){0,6}+"
_OWNERS = (
    "self|this|cls|config|cfg|settings|args|opts|options|props|params|state|ctx|context|req|request"
    "|res|response|user|account|session|data|payload|env|var|local|module|secrets"
)
# Code that gets a value from elsewhere: a call, an item, an attribute of a well-known owner.
_CODE = (
    rf"(?:await |new )?{_IDENTIFIER}\((?:\)(?:\[(?=[\"']))?|\d{{1,4}}\)|(?=[\"'`]))"
    rf"|{_IDENTIFIER}\[(?=[\"'])"
    rf"|(?:{_OWNERS})(?:\.[A-Za-z_]{{1,40}}+){{1,6}}+(?!\.\w)"
    r"|[A-Za-z_]{1,40}+(?:\.[A-Za-z_]{1,40}+){1,6}+\((?:[A-Za-z_., ]{1,60}+\)|\{)"
    r"|Secret(?:Str|Bytes)|[A-Z][A-Za-z]{2,40}+(?= = [A-Za-z(\[{])"
    r"|(?:Optional|Mapped|Annotated|Union)\[[\w., |]{1,60}+\]"
)
_PLAIN = re.compile(
    r"(?:(?i:null|none|nil|true|false|undefined|yes|no|string|str|bytes|any|required|optional"
    r"|missing|invalid|unset|bool(?:ean)?|int(?:eger)?|number|object|enabled|disabled|expected"
    r"|expired|empty|not|must|should|see|please|handled|via)"
    r"|(?<=oken: )(?:\$\d{1,9}\.\d{1,9}|\d{1,9}(?:\.\d{1,9})?m?s)"  # its price, its time
    rf"|\{{\}}|\[\]|{values.REFERENCE}|\$\((?!echo|printf)[a-z][\w-]{{0,30}}+(?=[ )])|{_CODE}"
    r"|(?i:jwts?|json|opaque)(?=[ \t]*+(?:[\r\n,;)}\]|(]|\Z))"  # kinds of tokens
    r"|process\.env\.\w++|os\.environ\[[\"']\w++[\"']\]"
    r"|(?:~|\.\.?)?/(?:home|etc|run|var|usr|tmp|root|opt|Users|mnt|srv|app|\.ssh)/[\w./-]++"
    r")(?![^\s\"'`,;:.)}\]|<\\])"
)
_PHRASE = re.compile(
    rf"{values.WORD_PATTERN}(?:(?<!\.)[ \t]{{1,4}}(?!--?\w|[|&>#(\[{{]|[\w.-]{{1,40}}+\s?[=:])"
    rf"{values.WORD_PATTERN}){{0,12}}+"
)
# A phrase with such a word is a sentence, of which one word at most is a secret.
_PROSE = re.compile(
    r"\b(?:is|are|was|were|be|must|should|will|can|cannot|has|have|not|it|and|or|to|when|if|how"
    r"|your|please|use|then|with)\b"
)
# The word that decides about a doubtful name ends where another pair could begin, so that no
# position is read twice.
_START_OF_WORD = re.compile(r"[^\s\"'`\\&,;})\]<=:]{1,200}+")
_ELEMENT_TEXT = re.compile(r"[^<>\r\n]++")
_PARAMETER = r"[\w-]{1,60}+=(?:\\?\"[^\"\\]*+\\?\"|[^\s\",\\]++)"
_CREDENTIALS = re.compile(
    r"\\{0,7}[\"'`]?(?:[A-Za-z][\w-]{0,30}+(?:[ \t]++|[ \t]*+\r?\n[ \t]++))?"
    rf"(?:{_PARAMETER}(?:,\s*+{_PARAMETER})*+|[^\s\"'`\\,]++)"
)
_PAIRS = re.compile(r"\\{0,7}[\"'`]?[^\s\"'`;\\]++(?:;\s*+[^\s\"'`;\\]++)*+")
_OF_SEVERAL = (Kind.CODE, Kind.CARD, Kind.CREDENTIALS)
_USER_AND_PASSWORD = re.compile(
    r"(?!file|env|path|arn|line)[A-Za-z][\w.@+-]{0,60}+:"
    r"([^\s:/,;\"'`\\{}\[\]()]{4,100})(?=[\s\"'`,;]|\Z)"
)
_GROUP_PART = re.compile(
    r"\"(?:[^\"\\\r\n]|\\.)*+\"|'(?:[^'\\\r\n]|\\.)*+'|(?P<open>[\[{])|(?P<close>[\]}])|(?P<line>\n)"
)


def find_after(text: str, end: int, start: int, kind: Kind) -> Span | None:
    """Return the span to redact after a name, None if no secret follows.

    :param end: where the name ends.
    :param start: where its decisive word starts.
    """
    if match := _SEPARATOR.match(text, end):
        return _find_value(text, match.end(), kind, apart=bool(match[1]))
    if kind is Kind.COOKIE or kind is Kind.AUTHORIZATION:
        return _find_cookie(text, end) if kind is Kind.COOKIE else None
    after = text[end : end + 1]
    if after == ">" and (match := _ELEMENT.match(text, end)):
        value = _ELEMENT_TEXT.match(text, match.end())
        return _accept(text, value and value.span(), kind)
    if after in _QUOTES and (match := _CALL.match(text, end)):
        return _find_argument(text, start, kind, match)
    if after in _BLANKS or after in _QUOTES:
        if (match := _AFTER_FLAG.match(text, end)) and _takes_next(text, start, end, kind):
            return _find_value(text, match.end(), kind, apart=False)
        if kind in SURE and (match := _ARGUMENT.match(text, end)):
            return _find_second(text, start, match)
    if kind is Kind.WEAK and text[start:end] == "AUTH" and (match := _SMTP.match(text, end)):
        return values.find_word(text, match.end())
    is_beside = after in _BLANKS or kind in values.NUMBERS
    return prose.find_beside(text, start, end, kind) if is_beside else None


def _takes_next(text: str, start: int, end: int, kind: Kind) -> bool:
    """Return whether a name is that of an option or declaration, before its value."""
    if _FLAG.search(text, max(0, start - 33), start):
        return True
    return kind in SURE and _is_declared(text, start, end)


def _find_cookie(text: str, end: int) -> Span | None:
    """Find the cookie in `("Set-Cookie", "a=b")`."""
    match = _ARGUMENT.match(text, end)
    span = values.find_quoted(text, match.end()) if match else None
    return span if span and "=" in text[slice(*span)] else None


def _find_second(text: str, start: int, argument: re.Match[str]) -> Span | None:
    """Find the value in `("password", "x")`; a word of letters only where it is stored."""
    span = values.find_quoted(text, argument.end())
    if _SETTER.search(text[max(0, start - 80) : start]):
        return span if span and values.is_password(values.read(text, span)) else None
    return _accept(text, span, Kind.QUALIFIED)


def _find_argument(text: str, start: int, kind: Kind, call: re.Match[str]) -> Span | None:
    """Find the password in `setPassword("x")` or `$("#password").val("x")`."""
    if call[1]:
        is_named = kind in (Kind.PHRASE, Kind.QUALIFIED)
    else:
        verb = text[max(0, start - 12) : start].lower().rstrip("_")
        is_named = kind is Kind.PHRASE and not verb.endswith(_READERS)
    if not is_named or text[start : start + 6].lower() == "secret":
        return None
    spans = list(islice(_find_arguments(text, call.end()), _MOST_ARGUMENTS))
    is_password = any(values.is_password(values.read(text, span)) for span in spans)
    return (spans[0][0], spans[-1][1]) if is_password else None


def _find_arguments(text: str, at: int) -> Iterator[Span]:
    """Find the arguments of a call that are quoted: `set_password("service", "bob", "x")`."""
    span = values.find_quoted(text, at)
    while span:
        yield span
        comma = _ARGUMENT.match(text, span[1])
        span = values.find_quoted(text, comma.end()) if comma else None


def _is_declared(text: str, start: int, end: int) -> bool:
    """Return whether a value follows after a blank, as in `ENV DB_PASSWORD x`."""
    first = max(0, start - 60)
    begin = max(first, text.rfind(" ", first, start) + 1, text.rfind("\n", first, start) + 1)
    if text.endswith(_DECLARATIONS, 0, begin) or text[begin:end] in _DIRECTIVES:
        return True
    if text.startswith("env:", begin):
        return True
    before = text[max(0, start - 80) : start]
    return begin == start and any(command in before for command in _COMMANDS)


def _find_value(text: str, at: int, kind: Kind, *, apart: bool) -> Span | None:
    if text.startswith(REDACTED, at) or _PLAIN.match(text, at):
        return None
    if block := _BLOCK.match(text, at):
        return block.span()
    brackets = ("{",) if kind is Kind.CREDENTIALS else () if kind in DOUBTFUL else ("[", "{")
    if text[at : at + 1] in brackets:
        return at, _find_group_end(text, at)
    if kind is Kind.AUTHORIZATION or kind is Kind.COOKIE:
        pattern = _CREDENTIALS if kind is Kind.AUTHORIZATION else _PAIRS
        match = pattern.match(text, at)
        opening = values.QUOTE.match(text, at)
        return (opening.end() if opening else at, match.end()) if match else None
    if values.QUOTE.match(text, at):
        return _accept(text, values.find_quoted(text, at), kind)
    if kind in DOUBTFUL:
        if kind in _OF_SEVERAL and (span := _find_several(text, at, kind)):
            return span
        start = _START_OF_WORD.match(text, at)
        return values.find_word(text, at) if start and values.is_secret(start[0], kind) else None
    match = _PHRASE.match(text, at) if apart and kind is Kind.PHRASE else None
    if match is None or (match[0].count(" ") > 1 and _PROSE.search(match[0])):
        match = values.WORD.match(text, at)
    return match.span() if match and not (apart and _PROSE.fullmatch(match[0])) else None


def _find_several(text: str, at: int, kind: Kind) -> Span | None:
    """Find what a word alone is not: codes with blanks, `user:password`."""
    if kind is Kind.CREDENTIALS:
        pair = _USER_AND_PASSWORD.match(text, at)
        return pair.span(1) if pair else None
    match = values.ONE_TIME_CODE.match(text, at)
    return match.span() if match else None


def _accept(text: str, span: Span | None, kind: Kind) -> Span | None:
    if span is None:
        return None
    value = values.read(text, span)
    return span if value != REDACTED and values.is_secret(value, kind) else None


def _find_group_end(text: str, at: int) -> int:
    """Return where a bracket closes; the end of its line if it does not close within 8 lines."""
    depth = lines = 0
    for part in _GROUP_PART.finditer(text, at):
        depth += (part.lastgroup == "open") - (part.lastgroup == "close")
        lines += part.lastgroup == "line"
        if not depth:
            return part.end()
        if lines == _MOST_LINES_OF_A_GROUP:
            break
    end = text.find("\n", at)
    return len(text) if end < 0 else end
