"""Texts of others on a terminal or in a log: in one line, and without power over it."""

import unicodedata


def printable(text: str) -> str:
    """The text with control characters, line ends and what is invisible written as escapes."""
    if text.isprintable():
        return text
    return "".join(c if _is_harmless(c) else _escaped(c) for c in text)


def _is_harmless(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def is_clean(text: str) -> bool:
    """Return whether UTF-8 can encode a text and it has no control characters (C0, C1).

    Only such texts may become names that are stored, logged and printed.
    """
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
