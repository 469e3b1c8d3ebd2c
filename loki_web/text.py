"""Untrusted text: escape it for a terminal or a log, or reject it as a name."""

import unicodedata


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


def _is_harmless(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
