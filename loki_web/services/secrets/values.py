"""Search for the value that follows a secret's name."""

import math
import re
from collections import Counter
from functools import lru_cache

from loki_web.services.secrets.names import Kind

REDACTED = "[redacted]"
DOUBTFUL = (Kind.WEAK, Kind.CREDENTIALS, Kind.BARE, Kind.PATH, Kind.QUALIFIED, Kind.DIGITS)
Span = tuple[int, int]

_MOST_LINES_OF_A_GROUP = 8
# Blanks, colors of a terminal, and the stars of Markdown.
_GAP = r"(?:[\ \t\u00a0*]|(?:\x1b|\\{1,7}(?:u001b|x1b|033|e))\[[\d;]{0,12}m)"
_SEPARATOR = re.compile(
    rf"""(?x)
      \??\\{{0,7}}["'`]?\]?{_GAP}*+(?:for[ ][^\s:]{{1,60}}+(?=:))?
      (?: [:=!：＝]{{1,3}}>?|->|[→⇒]|%3[ADad]
        | ,?\s*+\\{{0,7}}["']?(?:value|val)\\{{0,7}}["']?[ \t]*+[:=]   # "name": "x", "value": "y"
      )
      ((?:{_GAP}++|(?:\\[ \t]*+)?\r?\n[ \t]++(?![\w.-]{{1,60}}+:\s))*+)
    """
)
_ELEMENT = re.compile(r">(?=[^<>\r\n]{1,200}+</)")
_FLAG = re.compile(r"(?<![\w-])--?[\w-]{0,30}\Z")
_AFTER_FLAG = re.compile(r"(?:\\{0,7}[\"'],)?[ \t]{1,4}(?:\\\n[ \t]{1,40}+)?(?!-)")
_ARGUMENT = re.compile(r"\\{0,7}[\"'`],[ \t]{0,4}(?=\\{0,7}[\"'`])")
_BLOCK = re.compile(r"[|>][+-]?\d?[ \t]*+\r?\n(?P<indent>[ \t]++)[^\n]*+(?:\n(?P=indent)[^\n]*+)*+")
_QUOTE = re.compile(r"[bfru@$]{0,2}(\\{0,7})([\"'`])")
_REFERENCE = r"\$[A-Z_][A-Z0-9_]*+|\$\{[A-Za-z_]\w*+\}|\$?\{\{-?[ ]?[.$]?[\w.]++[ ]?-?\}\}"
_WHOLE_REFERENCE = re.compile(rf"{_REFERENCE}|\$\(cat [\w./-]{{1,100}}+\)")
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
    r"|[A-Za-z_]{1,40}+(?:\.[A-Za-z_]{1,40}+){1,6}+\([A-Za-z_., ]{1,60}+\)"
    r"|(?:Optional|Mapped|Annotated|Union)\[[\w., |]{1,60}+\]"
)
_PLAIN = re.compile(
    r"(?:(?i:null|none|nil|true|false|undefined|yes|no|string|str|bytes|any|required|optional"
    r"|missing|invalid|unset|bool(?:ean)?|int(?:eger)?|number|object|enabled|disabled|expected"
    r"|expired|empty|not|must|should|see|please|handled)"
    r"|(?<=oken: )(?:\$\d{1,9}\.\d{1,9}|\d{1,9}(?:\.\d{1,9})?m?s)"  # its price, its time
    rf"|\{{\}}|\[\]|{_REFERENCE}|\$\((?!echo|printf)[a-z][\w-]{{0,30}}+(?=[ )])|{_CODE}"
    r"|(?i:jwts?|json|opaque)(?=[ \t]*+(?:[\r\n,;)}\]|(]|\Z))"  # kinds of tokens
    r"|process\.env\.\w++|os\.environ\[[\"']\w++[\"']\]"
    r"|(?:~|\.\.?)?/(?:home|etc|run|var|usr|tmp|root|opt|Users|mnt|srv|app|\.ssh)/[\w./-]++"
    r")(?![^\s\"'`,;:.)}\]|<\\])"
)
# A punctuation mark between two parts of a word belongs to it, unless another pair follows it.
_WORD_PATTERN = (
    r"(?:[^\s\"'`\\&,;})\]<]"
    r"|[&,;})\]](?=[^\s\"'`\\&,;})\]<])(?![\w.-]{1,40}+\s?[=:])"
    r"|(?<=\w)'(?=\w)|<(?!/)"
    r"|\\(?![nrtu\"'`\\\s]|\Z))++"
)
_WORD = re.compile(_WORD_PATTERN)
_PHRASE = re.compile(
    rf"{_WORD_PATTERN}(?:(?<!\.)[ \t]{{1,4}}(?!--?\w|[|&>#(\[{{]|[\w.-]{{1,40}}+\s?[=:])"
    rf"{_WORD_PATTERN}){{0,12}}+"
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
_GROUP_PART = re.compile(
    r"\"(?:[^\"\\\r\n]|\\.)*+\"|'(?:[^'\\\r\n]|\\.)*+'|(?P<open>[\[{])|(?P<close>[\]}])|(?P<line>\n)"
)
_BESIDE = re.compile(
    r"[ \t|(]{1,4}((?:is|was|equals|set[ ]to|changed[ ]to|base64\)?)[ \t:]{1,4})?+"
    r"(\\{0,7}[\"'`])?([^\s\"'`\\,;<>()]{4,300}+)"
)
_NETRC = re.compile(r"\blogin[ \t]+\S{1,80}\s+\Z")
_MIXED = re.compile(r"(?=[^\d]{0,99}\d)(?=[^A-Za-z]{0,99}[A-Za-z])\S{5,}")
_DIGITS = re.compile(r"\d{4,12}[.!?]?")
_ALGORITHM = re.compile(r"(?i)(?:sha|md|base|utf|aes|rsa|ed|hs|rs|es|bcrypt|argon|oauth|v)-?\d")
_HASH = re.compile(r"(?:[0-9a-f]{8,}|[0-9A-F]{8,})(?:-[0-9a-fA-F]{4,12})*")
_PARTS = re.compile(r"[A-Za-z0-9+=]+")


def find_after(text: str, end: int, start: int, kind: Kind) -> Span | None:
    """Return the span to redact after a name, None if no secret follows.

    :param end: where the name ends.
    :param start: where its decisive word starts.
    """
    if match := _SEPARATOR.match(text, end):
        return _find_value(text, match.end(), kind, apart=bool(match[1]))
    if kind is Kind.COOKIE:  # ("Set-Cookie", "a=b")
        match = _ARGUMENT.match(text, end)
        span = find_quoted(text, match.end()) if match else None
        return span if span and "=" in text[slice(*span)] else None
    if kind is Kind.AUTHORIZATION:
        return None
    if match := _ELEMENT.match(text, end):
        value = _ELEMENT_TEXT.match(text, match.end())
        return _accept(text, value and value.span(), kind)
    if (match := _AFTER_FLAG.match(text, end)) and _FLAG.search(text[max(0, start - 33) : start]):
        return _find_value(text, match.end(), kind, apart=False)
    if (match := _ARGUMENT.match(text, end)) and kind in (Kind.PHRASE, Kind.WORD):
        return _accept(text, find_quoted(text, match.end()), Kind.QUALIFIED)
    return _find_beside(text, start, end, kind)


def find_quoted(text: str, at: int) -> Span | None:
    """Return the span inside the quotes of a string at `at`, at any level of escaping."""
    opening = _QUOTE.match(text, at)
    if opening is None:
        return None
    return find_quoted_rest(text, opening.end(), opening[2], len(opening[1]))


def find_quoted_rest(text: str, at: int, quote: str, level: int) -> Span | None:
    """Return the rest of a quoted string whose quotes are preceded by `level` backslashes."""
    match = _compile_quoted_rest(quote, level).match(text, at)
    return match.span() if match else None


def find_word(text: str, at: int) -> Span | None:
    """Return the span of the word at `at`, None if none begins there."""
    match = _WORD.match(text, at)
    return match.span() if match else None


def is_secret(value: str, kind: Kind) -> bool:
    """Return whether a value after a name of this kind is to be redacted."""
    if _WHOLE_REFERENCE.fullmatch(value):
        return False
    if kind is Kind.WEAK or kind is Kind.CREDENTIALS:
        return looks_random(value, hexadecimal=False)
    if kind is Kind.PATH:
        return not value.startswith(("/", "~", ".", "$", "%")) and value[1:3] != ":\\"
    if kind is Kind.QUALIFIED:
        return _is_mixed_word(value)
    if kind is Kind.DIGITS:
        return _DIGITS.fullmatch(value) is not None
    if kind is Kind.BARE:
        return _MIXED.fullmatch(value) is not None and not value[0].isdigit()
    return bool(value)


def looks_random(value: str, *, hexadecimal: bool) -> bool:
    """Return whether a word looks like a generated secret.

    :param hexadecimal: whether a hash or UUID counts; an ordinary key is often one.
    """
    if len(value) < 12:
        return False
    longest = max(_PARTS.findall(value[:300]), key=len, default="")
    if _HASH.fullmatch(value) or _HASH.fullmatch(longest):
        return hexadecimal and len(value) >= 20
    digits = sum(map(str.isdigit, longest))
    letters = sum(map(str.isalpha, longest))
    mixed = longest.upper() != longest != longest.lower()
    if not digits or letters < 4 or len(longest) < (12 if mixed else 16):
        return False
    return _compute_entropy(longest) >= 3


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
        opening = _QUOTE.match(text, at)
        return (opening.end() if opening else at, match.end()) if match else None
    if _QUOTE.match(text, at):
        return _accept(text, find_quoted(text, at), kind)
    if kind in DOUBTFUL:
        start = _START_OF_WORD.match(text, at)
        return find_word(text, at) if start and is_secret(start[0], kind) else None
    match = _PHRASE.match(text, at) if apart and kind is Kind.PHRASE else None
    if match is None or (match[0].count(" ") > 1 and _PROSE.search(match[0])):
        match = _WORD.match(text, at)
    return match.span() if match and not (apart and _PROSE.fullmatch(match[0])) else None


def _accept(text: str, span: Span | None, kind: Kind) -> Span | None:
    if span is None:
        return None
    value = text[span[0] : min(span[1], span[0] + 300)]
    return span if value != REDACTED and is_secret(value, kind) else None


def _find_beside(text: str, start: int, end: int, kind: Kind) -> Span | None:
    """Find a value without a separator after its name: "the password is hunter2"."""
    match = _BESIDE.match(text, end)
    if match is None:
        return None
    sure = kind in (Kind.PHRASE, Kind.WORD)
    candidate = match[3].rstrip(".:!?)|")
    if kind is Kind.DIGITS:
        is_sure = match[1] or text[start:end].isupper()  # "pin is 4711", "PIN 4711"
        return match.span(3) if is_sure and is_secret(candidate, kind) else None
    if kind is Kind.PHRASE and _NETRC.search(text[max(0, start - 100) : start]):
        return match.span(3)
    if sure and (match[1] or text[start:end].isupper()):  # SQL: PASSWORD 'x'
        if match[2]:
            return find_quoted(text, match.start(2))
        if _is_mixed_word(candidate) or (match[1] and candidate.isdigit()):
            return match.span(3)
    if kind is Kind.PHRASE and _is_mixed_word(candidate):
        return match.span(3)
    return match.span(3) if looks_random(candidate, hexadecimal=sure) else None


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


@lru_cache
def _compile_quoted_rest(quote: str, level: int) -> re.Pattern[str]:
    """Compile the inside of a quoted string whose quotes are preceded by `level` backslashes.

    A quote with more backslashes is part of the string.
    """
    if not level:
        return re.compile(rf"(?:[^{quote}\\\r\n]|\\.)++")
    deeper = rf"\\{{{level + 1},}}+{quote}"
    return re.compile(rf"(?:[^{quote}\\\r\n]|\\++(?!{quote})|{deeper})++")


def _is_mixed_word(value: str) -> bool:
    """Return whether a word has letters and digits and is no hash, algorithm or path."""
    return (
        _MIXED.fullmatch(value) is not None
        and "/" not in value
        and not _ALGORITHM.match(value)
        and not _HASH.fullmatch(value)
    )


def _compute_entropy(value: str) -> float:
    """Return the entropy of a value in bits per character."""
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)
