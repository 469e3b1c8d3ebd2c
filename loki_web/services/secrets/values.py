"""Decide whether a value is a secret, and read words and quoted strings."""

import math
import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache, partial

from loki_web.services.secrets.names import Kind

REDACTED = "[redacted]"
NUMBERS = (Kind.DIGITS, Kind.CODE, Kind.CARD)
DOUBTFUL = (
    *(Kind.WEAK, Kind.CREDENTIALS, Kind.BARE, Kind.PATH, Kind.QUALIFIED, *NUMBERS),
    *(Kind.RANDOM, Kind.SESSION),
)
Span = tuple[int, int]
QUOTE = re.compile(r"[bfru@$]{0,2}(\\{0,7})([\"'`])")
REFERENCE = r"\$[A-Z_][A-Z0-9_]*+|\$\{[A-Za-z_]\w*+\}|\$?\{\{-?[ ]?[.$]?[\w.]++[ ]?-?\}\}"
_WHOLE_REFERENCE = re.compile(rf"{REFERENCE}|\$\(cat [\w./-]{{1,100}}+\)")
# A punctuation mark between two parts of a word belongs to it, unless another pair follows it.
WORD_PATTERN = (
    r"(?:[^\s\"'`\\&,;})\]<]"
    r"|[&,;})\]](?=[^\s\"'`\\&,;})\]<])(?![\w.-]{1,40}+\s?[=:])"
    r"|(?<=\w)'(?=\w)|<(?!/)"
    r"|\\(?![nrtu\"'`\\\s]|\Z))++"
)
WORD = re.compile(WORD_PATTERN)
_MIXED = re.compile(r"(?=[^\d]{0,99}\d)(?=[^A-Za-z]{0,99}[A-Za-z])\S{5,}")
_DIGITS = re.compile(r"\d{4,12}[.!?]?")
_GROUPS = r"\d{3}[ -]\d{3,4}|(?=[A-Za-z-]{0,9}\d)[A-Za-z0-9]{4,8}(?:-[A-Za-z0-9]{4,8}){1,4}"
ONE_TIME_CODE = re.compile(rf"(?:\d{{4,12}}|{_GROUPS})(?:,? (?:\d{{4,12}}|{_GROUPS}))*+(?![.-]?\w)")
_CARD_CODE = re.compile(r"\d{3}[.!?]?")
_LONG_HEX = re.compile(r"_?(?:[0-9a-f]{20,}|[0-9A-F]{20,})")
_ALGORITHM = re.compile(r"(?i)(?:sha|md|base|utf|aes|rsa|ed|hs|rs|es|bcrypt|argon|oauth|v)-?\d")
_HASH = re.compile(r"(?:[0-9a-f]{8,}|[0-9A-F]{8,})(?:-[0-9a-fA-F]{4,12})*")
_LEAST = 12  # characters of a generated secret
_DECISIVE = 300  # characters at the beginning of a value
_PARTS = re.compile(r"[A-Za-z0-9+=]+")
# What stands beside the name of a password without being one: the end of a sentence, a label.
_WORD_OF_A_SENTENCE = re.compile(
    r"(?i).*pass.*|.*\w(?:ed|ing|able|ible|less|ful|ous|ive|ary|ory|ic|al|ent|ant|ly|ion|ment"
    r"|ity|sis|ism|izer|ator)"
    r"|above|again|alone|already|also|always|array|ascii|auth|bcrypt|being|below|better|blank"
    r"|boolean|broken|bytes|change|check|clear|cleartext|complex|confirm|correct|database"
    r"|default|dict|different|disable|dummy|easy|email|empty|enable|enough|enter|error|expire"
    r"|failure|fake|false|falsy|fields?|file|fine|first|flow|forgotten|form|free|fresh|full"
    r"|given|gone|good|grant|handler|hard|hash|header|here|hidden|incorrect|input|insecure"
    r"|invalid|just|kept|known|later|left|length|less|login|long|longer|lost|manager|match"
    r"|mismatch|more|name|never|next|none|null|number|object|okay|once|only|open|optional|over"
    r"|page|pair|parameter|plain|plaintext|policy|private|prompt|public|read-only|ready|reset"
    r"|reuse|right|rotate|rules|safe|salt|same|scrypt|secret|secure|sent|short|shorter|shown"
    r"|simple|stale|still|stolen|strength|string|strong|stronger|taken|tests?|text|that|then"
    r"|there|these|this|those|true|truthy|twice|type|undefined|under|unicode|unique|unknown"
    r"|unset|update|user|username|valid|value|weak|what|which|write-only|written|wrong"
)


def find_quoted(text: str, at: int) -> Span | None:
    """Return the span inside the quotes of a string at `at`, at any level of escaping."""
    opening = QUOTE.match(text, at)
    if opening is None:
        return None
    return find_quoted_rest(text, opening.end(), opening[2], len(opening[1]))


def find_quoted_rest(text: str, at: int, quote: str, level: int) -> Span | None:
    """Return the rest of a quoted string whose quotes are preceded by `level` backslashes."""
    match = _compile_quoted_rest(quote, level).match(text, at)
    return match.span() if match else None


def find_word(text: str, at: int) -> Span | None:
    """Return the span of the word at `at`, None if none begins there."""
    match = WORD.match(text, at)
    return match.span() if match else None


def is_secret(value: str, kind: Kind) -> bool:
    """Return whether a value after a name of this kind is to be redacted."""
    if _WHOLE_REFERENCE.fullmatch(value):
        return False
    judge = _JUDGES.get(kind, bool)
    return judge(value)


def _is_no_path(value: str) -> bool:
    return not value.startswith(("/", "~", ".", "$", "%")) and value[1:3] != ":\\"


def _is_card_code(value: str) -> bool:
    return _CARD_CODE.fullmatch(value) is not None or _is_code(value)


def _is_code(value: str) -> bool:
    is_code = ONE_TIME_CODE.fullmatch(value.rstrip(".!?")) is not None
    return is_code or looks_random(value, hexadecimal=True)


def _is_bare_password(value: str) -> bool:
    return _MIXED.fullmatch(value) is not None and not value[0].isdigit()


def _is_session(value: str) -> bool:
    return _LONG_HEX.fullmatch(value) is not None or looks_random(value, hexadecimal=False)


def _is_random(value: str) -> bool:
    """Return whether a value looks random, its parts taken together if their letters are mixed."""
    if len(value) < _LEAST:
        return False
    letters = "".join(_PARTS.findall(value[:300]))
    is_mixed = letters.upper() != letters != letters.lower()
    return looks_random(letters if is_mixed else value, hexadecimal=True)


def read(text: str, span: Span) -> str:
    """Return the value in a span, as much of it as decides whether it is a secret."""
    start, end = span
    return text[start : min(end, start + _DECISIVE)]


def is_password(value: str) -> bool:
    """Return whether a value beside or in a call of a name may be a password, not a label."""
    return (
        len(value) >= 4
        and len(value.split()) == 1
        and not value.startswith(("/", "./", "-", "~", "{", "${", "<", "http"))
        and not _ALGORITHM.match(value)
        and _WHOLE_REFERENCE.fullmatch(value) is None
        and _WORD_OF_A_SENTENCE.fullmatch(value.rstrip(".:!?")) is None
    )


def is_mixed_word(value: str) -> bool:
    """Return whether a word has letters and digits and is no hash, algorithm or path."""
    return (
        _MIXED.fullmatch(value) is not None
        and "/" not in value
        and not _ALGORITHM.match(value)
        and not _HASH.fullmatch(value)
    )


def looks_random(value: str, *, hexadecimal: bool) -> bool:
    """Return whether a word looks like a generated secret.

    :param hexadecimal: whether a hash or UUID counts; an ordinary key is often one.
    """
    if len(value) < _LEAST:
        return False
    longest = max(_PARTS.findall(value[:300]), key=len, default="")
    if _HASH.fullmatch(value) or _HASH.fullmatch(longest):
        return hexadecimal and len(value) >= 20
    digits = sum(map(str.isdigit, longest))
    letters = sum(map(str.isalpha, longest))
    mixed = longest.upper() != longest != longest.lower()
    if not digits or letters < 4 or len(longest) < (_LEAST if mixed else 16):
        return False
    return _compute_entropy(longest) >= 3


@lru_cache
def _compile_quoted_rest(quote: str, level: int) -> re.Pattern[str]:
    """Compile the inside of a quoted string whose quotes are preceded by `level` backslashes.

    A quote with more backslashes is part of the string.
    """
    if not level:
        return re.compile(rf"(?:[^{quote}\\\r\n]|\\.)++")
    deeper = rf"\\{{{level + 1},}}+{quote}"
    return re.compile(rf"(?:[^{quote}\\\r\n]|\\++(?!{quote})|{deeper})++")


def _compute_entropy(value: str) -> float:
    """Return the entropy of a value in bits per character."""
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)


_JUDGES: dict[Kind, Callable[[str], bool]] = {
    Kind.WEAK: partial(looks_random, hexadecimal=False),
    Kind.CREDENTIALS: partial(looks_random, hexadecimal=False),
    Kind.PATH: _is_no_path,
    Kind.QUALIFIED: is_mixed_word,
    Kind.DIGITS: lambda value: _DIGITS.fullmatch(value) is not None,
    Kind.CODE: _is_code,
    Kind.CARD: _is_card_code,
    Kind.RANDOM: _is_random,
    Kind.SESSION: _is_session,
    Kind.BARE: _is_bare_password,
}
