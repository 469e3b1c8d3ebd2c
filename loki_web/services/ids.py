"""What an id in a path may look like; anything else never gets near a file."""

import re

from loki_web.errors import BadRequest

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,128}")


def is_identifier(value: str) -> bool:
    """True for 1 to 128 letters, digits, hyphens and underscores."""
    return _IDENTIFIER.fullmatch(value) is not None


def check_id(value: str, name: str) -> str:
    """The value itself.

    :param name: what the id is called in the error, such as `agent_id`.
    :raises BadRequest: when it is not 1 to 128 letters, digits, hyphens and underscores.
    """
    if not is_identifier(value):
        raise BadRequest(f"{name} must be 1 to 128 letters, digits, hyphens or underscores")
    return value
