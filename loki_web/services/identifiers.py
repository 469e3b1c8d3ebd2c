"""The ids that clients put into addresses."""

import re

from loki_web.errors import BadRequest

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


def is_identifier(value: object) -> bool:
    """True for 1 to 128 letters, digits, hyphens and underscores: safe as a file name."""
    return isinstance(value, str) and _IDENTIFIER.fullmatch(value) is not None


def checked(value: str, name: str) -> str:
    """The id as it is.

    :param name: what the sentence calls it, such as `checkpoint_id`.
    :raises BadRequest: when it is none.
    """
    if not is_identifier(value):
        raise BadRequest(f"{name} may have 1 to 128 letters, digits, hyphens and underscores only")
    return value
