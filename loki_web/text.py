"""Untrusted text: escape it for a terminal or a log, or reject it as a name."""

import unicodedata

_CONFUSABLE_ALPHABETS = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "COPTIC", "CHEROKEE"})
_CYRILLIC_LOOK_ALIKES = "асԁеһіјӏорԛѕԝхуАВСЕНІЈКМОРЅТХУ"
_GREEK_LOOK_ALIKES = "οανρυχιΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"
_LOOK_ALIKES = frozenset(_CYRILLIC_LOOK_ALIKES + _GREEK_LOOK_ALIKES)
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


def printable(text: str) -> str:
    """Escape control characters, line ends and invisible characters.

    Untrusted text can then neither split a line nor send control sequences to a terminal.
    """
    if text.isprintable():
        return text
    return "".join(c if _is_harmless(c) else _escaped(c) for c in text)


def is_clean(text: str) -> bool:
    """Return whether a text may be stored as a name: valid in UTF-8, no control characters."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def is_name(text: str) -> bool:
    """Return whether a text may name something that others have to recognize.

    It has no characters that are invisible or change the direction of the text, and its letters
    cannot be mistaken for those of another alphabet: `admin` with a Cyrillic first letter.
    """
    if not is_clean(text) or any(map(_is_invisible, text)):
        return False
    if unicodedata.normalize("NFKC", text) != unicodedata.normalize("NFC", text):
        return False  # full-width and mathematical letters, ligatures
    letters = [character for character in text if character.isalpha()]
    alphabets = {unicodedata.name(letter, "").partition(" ")[0] for letter in letters}
    alphabets &= _CONFUSABLE_ALPHABETS
    is_disguised = alphabets != {"LATIN"} and bool(letters) and set(letters) <= _LOOK_ALIKES
    return len(alphabets) < 2 and not is_disguised


def _is_invisible(character: str) -> bool:
    """Return whether a character shows nothing (UAX #44, Default_Ignorable_Code_Point)."""
    code = ord(character)
    return (
        unicodedata.category(character) in ("Cf", "Cn", "Co", "Zl", "Zp")
        or (character.isspace() and character != " ")
        or character in _FILLERS
        or 0xFE00 <= code <= 0xFE0F
        or 0xE0100 <= code <= 0xE01EF
    )


def _is_harmless(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
