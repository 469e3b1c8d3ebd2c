"""Ids: the check of ids that come in a URL, and ids for entries that have none in their file."""

import hashlib
import re
from collections import Counter
from typing import Any

from loki_web.errors import BadRequest

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,128}")


def is_identifier(value: str) -> bool:
    """Return True for 1 to 128 letters, digits, hyphens and underscores."""
    return _IDENTIFIER.fullmatch(value) is not None


def check_id(value: str, name: str) -> str:
    """Return the id unchanged if it is valid. Call this before an id becomes part of a path.

    :param name: what the id is called in the error, such as `agent_id`.
    :raises BadRequest: when it is not 1 to 128 letters, digits, hyphens and underscores.
    """
    if not is_identifier(value):
        raise BadRequest(f"{name} must be 1 to 128 letters, digits, hyphens or underscores")
    return value


class Identities:
    """Assign an id to each entry of one response.

    :param prefix: the beginning of generated ids.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._generated: Counter[str] = Counter()

    def assign(self, value: Any, *content: str) -> str:
        """Return `value` if it is a usable id, else an id generated from the entry's content.

        Equal entries get `-2`, `-3` and so on, in their order. So an id is the same in the next
        response unless an equal entry before it was removed.

        :param value: the id in the file, of any JSON type; texts and whole numbers are usable.
        :param content: the texts that the id is a digest of.
        """
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        digest = hashlib.sha256("\0".join(content).encode()).hexdigest()[:8]
        generated = f"{self._prefix}-{digest}"
        self._generated[generated] += 1
        number = self._generated[generated]
        return generated if number == 1 else f"{generated}-{number}"
