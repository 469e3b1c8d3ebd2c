"""A folder that becomes visible when it is complete."""

import os
import shutil

from loki_web.store import atomic, json_text
from loki_web.store.coerce import Json


class NewFolder:
    """Files in a hidden folder, until `appear_as` gives it its name; `close` removes it if not.

    :param parent: the real path of the folder in which it will appear.
    :raises OSError: from here and from every method, when the file system refuses.
    """

    def __init__(self, parent: str) -> None:
        self._parent = parent
        self._path = atomic.temporary_name(parent, "new")
        os.mkdir(self._path)
        self._held = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        atomic.hold(self._held)

    def write_bytes(self, relative: str, data: bytes) -> None:
        path = os.path.join(self._path, relative)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        atomic.write_new(path, data)

    def write_json(self, relative: str, value: Json) -> None:
        self.write_bytes(relative, json_text.dump(value))

    def appear_as(self, name: str) -> None:
        """Give it its name in the parent, at one moment and with all that was written.

        :raises FileExistsError: when there is something of that name.
        """
        for folder, _, _ in os.walk(self._path):
            atomic.sync_folder(folder)
        target = os.path.join(self._parent, name)
        if os.path.lexists(target):  # an empty directory would be replaced without a word
            raise FileExistsError(target)
        os.rename(self._path, target)
        atomic.sync_folder(self._parent)

    def close(self) -> None:
        shutil.rmtree(self._path, ignore_errors=True)
        os.close(self._held)
