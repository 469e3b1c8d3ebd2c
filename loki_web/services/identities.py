"""Ids for entries that were written without one."""

import hashlib
from collections import Counter
from typing import Any


class Identities:
    """Gives each entry of one answer an id of its own.

    :param prefix: what the made ids begin with.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._made: Counter[str] = Counter()

    def of(self, value: Any, *content: str) -> str:
        """`value` where it is a usable id, else one made of the entry's content.

        The same content gets the same id as long as its twins before it stay.
        """
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        digest = hashlib.sha256("\0".join(content).encode()).hexdigest()[:8]
        made = f"{self._prefix}-{digest}"
        self._made[made] += 1
        return made if self._made[made] == 1 else f"{made}-{self._made[made]}"
