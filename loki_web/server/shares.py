"""Places of which one client address gets a share."""

import threading
from collections import Counter


class Shares:
    """A number of places that are taken without waiting.

    :param places: how many there are.
    :param share: how many of them one address may take.
    """

    def __init__(self, places: int, share: int) -> None:
        self._free = places
        self._share = share
        self._by_address: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, address: str) -> bool:
        """Take a place, if one is free and the address has not taken its share.

        :param address: empty if the client is unknown, as behind a proxy: then there is no share.
        """
        with self._lock:
            if not self._free or (address and self._by_address[address] >= self._share):
                return False
            self._free -= 1
            self._by_address[address] += 1
            return True

    def give_back(self, address: str) -> None:
        """Give a place back."""
        with self._lock:
            self._free += 1
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]
