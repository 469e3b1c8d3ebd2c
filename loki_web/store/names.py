"""Which texts may become a name that is stored, logged and printed on terminals."""

import unicodedata


def is_clean(text: str) -> bool:
    """True for text that UTF-8 can write and that has no control character (C0, C1) in it."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
