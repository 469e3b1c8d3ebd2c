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
