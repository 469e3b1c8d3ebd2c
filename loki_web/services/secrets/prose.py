"""Search for a value beside its name, without a separator: "the password is hunter2".

A value with letters and digits is recognized anywhere. A word of letters is a password only at the
end of a clause, and only if it is none of the words that sentences about passwords have there.
"""

import re

from loki_web.services.secrets import values
from loki_web.services.secrets.names import SURE, Kind
from loki_web.services.secrets.values import Span

_BESIDE = re.compile(
    r"""(?x)
      [ \t|(]{1,4} (?:for[ ][\w.@-]{1,40}+[ ](?=is[ ]|was[ ]|set[ ]))?
      ( (?: (?:is|was)(?:[ ]now)? | equals | (?:(?:re)?set[ ]|changed[ ])?to | lautet | base64\)? )
        [ \t:]{1,4} )?+
      (\\{0,7}["'`])?
      ([^\s"'`\\,;<>()]{3,300}+)
    """
)
_CHANGE = re.compile(r"(?i)\b(?:chang|(?:re)?set|updat|rotat)\w{0,5} (?:\S{1,30} ){0,2}\Z")
_NETRC = re.compile(r"\blogin[ \t]+[^\s,;:]{1,80}\s+\Z")
# "username bob, password x", "as bob / password x"
_ACCOUNT = re.compile(
    r"(?i)\b(?:(?:username|as)[ :=]{1,3}([\w.@-]{2,60})|user(?:[ :=]{1,3}(?:admin|root|postgres)))"
    r"(?:[,;]| /| and| with|, and)? (?:the )?\Z"
)
_USE = re.compile(
    r"(?i)\b(?:us(?:e|ed|ing)|with|enter(?:ed|ing)?|typ(?:e|ed|ing)|tr(?:y|ied))"
    r" (?:the |a |my )?\Z"
)
_LETTERS = re.compile(r"[A-Za-z][A-Za-z!@#%^*_-]{3,60}")
_END_OF_CLAUSE = re.compile(r"[.!,;)]{0,3}(?:\s*+\Z|\s*?\n|(?<=[.!,;)])\s)")
# "the passphrase is correct horse battery staple"
_WORDS = re.compile(r"[a-z]{2,12}(?: [a-z]{2,12}){3,23}+(?=[.!]?(?:\s*+\Z|\n))")
_PART_OF_A_SENTENCE = re.compile(
    r"\b(?:\w+(?:ed|ing)|is|are|was|were|be|must|should|will|can|cannot|has|have|not|it|and|or|to"
    r"|when|if|how|your|please|use|then|with|the|an|of|in|on|at|by|for|from|as|than|no|longer|too"
    r"|very|only|before|after|until|while|because|so|that|which|its|their|my|any|all|each|right"
    r"|now|again|words?)\b"
)
_UNIT = re.compile(r" (?:lines?|bytes|files|times|characters|chars|tokens|m?s|seconds)\b")
_CODE_BEFORE = re.compile(r"(?<!\d)(\d{4,8}) is (?:your|the) (?:[\w'-]{1,20} ){0,4}\Z")
_REACH = 100
_PUNCTUATION = ".:!?)|"  # at the end of a value that is not its own


def find_beside(text: str, start: int, end: int, kind: Kind) -> Span | None:
    """Return the span of a value beside a name, None if there is none.

    :param start: where the decisive word of the name starts.
    :param end: where the name ends.
    """
    match = _BESIDE.match(text, end)
    if kind in values.NUMBERS:
        return _find_code(text, start, end, kind, match)
    if match is None:
        return None
    before = text[max(0, start - _REACH) : start]
    if (
        match[1]
        and match[1].startswith("to")
        and (kind is not Kind.PHRASE or not _CHANGE.search(before))
    ):
        return None
    candidate = match[3].rstrip(_PUNCTUATION)
    if kind is Kind.PHRASE and (span := _find_password(text, start, before, match)):
        return span
    is_sure = kind in SURE
    if is_sure and (match[1] or text[start:end].isupper()):  # SQL: PASSWORD 'x'
        if match[2]:
            return values.find_quoted(text, match.start(2))
        if values.is_mixed_word(candidate) or (match[1] and candidate.isdigit()):
            return match.span(3)
    return match.span(3) if values.looks_random(candidate, hexadecimal=is_sure) else None


def _find_password(text: str, start: int, before: str, match: re.Match[str]) -> Span | None:
    """Find a password with digits anywhere, or one of letters where nothing else can stand."""
    if _NETRC.search(before):
        return match.span(3)
    candidate = match[3].rstrip(_PUNCTUATION)
    is_number = candidate.isdigit() and len(candidate) >= 6
    if (is_number or values.is_mixed_word(candidate)) and not (match[1] and match[2]):
        return match.span(3)
    is_secret = text.startswith("ecret", start + 1)  # "the secret is patience"
    return None if is_secret else _find_letters(text, before, match, match[1] or "")


def _find_letters(text: str, before: str, match: re.Match[str], verb: str) -> Span | None:
    """Find a password without digits after "the password is" or "user bob, password"."""
    if match[2]:
        is_used = _USE.search(before) and values.is_password(match[3])
        return values.find_quoted(text, match.start(2)) if is_used else None
    if verb.startswith(("equals", "base64")):
        return None
    at = match.start(3)
    words = _WORDS.match(text, at) if verb else None
    if words and not _PART_OF_A_SENTENCE.search(words[0]):
        return words.span()
    word = _LETTERS.match(text, at)
    if word is None or not _END_OF_CLAUSE.match(text, word.end()):
        return None
    account = None if verb else _ACCOUNT.search(before)
    is_named = verb or (account and (not account[1] or values.is_password(account[1])))
    return word.span() if is_named and values.is_password(word[0]) else None


def _find_code(
    text: str, start: int, end: int, kind: Kind, match: re.Match[str] | None
) -> Span | None:
    """Find the code in "pin is 4711", "PIN 4711" or "123456 is your verification code"."""
    candidate = match[3].rstrip(_PUNCTUATION) if match else ""
    is_long = kind is not Kind.DIGITS and len(candidate) >= 6
    is_sure = (
        is_long
        or text.startswith(("v", "V"), start + 1)
        or (match and match[1])
        or text[start:end].isupper()
    )
    if match and is_sure and values.is_secret(candidate, kind):
        return None if _UNIT.match(text, match.end()) else match.span(3)
    first = max(0, start - _REACH)
    if kind is Kind.DIGITS or text.find(" is ", first, start) < 0:
        return None
    code = _CODE_BEFORE.search(text[first:start])
    return (first + code.start(1), first + code.end(1)) if code else None
