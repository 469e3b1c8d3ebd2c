"""What was made of files, as long as there is room for it."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from loki_web.store.files import Version


@dataclass(frozen=True, slots=True)
class Kept:
    version: Version
    value: Any


@dataclass(slots=True)
class Recent:
    """The latest used things, each with the version of the file that it was made of.

    :param most_bytes: of files in total; what was not used for longest goes first.
    """

    most_bytes: int
    _kept: OrderedDict[Hashable, Kept] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def get(self, key: Hashable) -> Kept | None:
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
        return kept

    def keep(self, key: Hashable, version: Version, value: Any) -> None:
        self._drop(key)
        self._kept[key] = Kept(version, value)
        self._bytes += version.size
        while self._bytes > self.most_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        self._bytes -= kept.version.size if kept else 0
