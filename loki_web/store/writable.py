"""Write files, lines and folders below a root, each change completely or not at all."""

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from loki_web.errors import Conflict, LinkedFolder, StorageError
from loki_web.store import atomic, files, json_text
from loki_web.store.coerce import Json
from loki_web.store.folder import MAX_COPY_BYTES, RETRY_SECONDS, Folder

_TRIES = 5  # reads of a file that its writer may be rewriting in place
_CANNOT_WRITE = "The state folder cannot be written"
_LEADS_OUT = (
    "The state folder leads out of the project (LOKI_ALLOW_LINKED_DIR=true lets it be written)"
)
_CANNOT_READ = "A file that this would change cannot be read, so it was left as it is"


class NewFolder:
    """A hidden folder that is renamed to its final name when it is complete.

    All methods raise OSError. `close` removes a folder that was not renamed.

    :param parent: the path of the folder that it is created in.
    """

    def __init__(self, parent: str) -> None:
        self._parent = parent
        self._path = atomic.temporary_name(parent, "new")
        atomic.make_folders(self._path)
        self._descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        atomic.lock_temporary(self._descriptor)

    def write_bytes(self, relative: str, data: bytes) -> None:
        """Create a file in the folder, and the folders on its path."""
        path = os.path.join(self._path, relative)
        atomic.make_folders(os.path.dirname(path))
        atomic.write_new(path, data)

    def write_json(self, relative: str, value: Json) -> None:
        """Create a JSON file in the folder."""
        self.write_bytes(relative, json_text.dump(value))

    def appear_as(self, name: str) -> None:
        """Rename the folder, so that readers see it with all its files at one moment.

        :raises FileExistsError: if the name exists in the parent.
        """
        for folder, _, _ in os.walk(self._path):
            atomic.sync_folder(folder)
        target = os.path.join(self._parent, name)
        if os.path.lexists(target):  # `rename` would replace an empty directory
            raise FileExistsError(target)
        os.rename(self._path, target)
        atomic.sync_folder(self._parent)

    def close(self) -> None:
        """Remove the folder, unless it was renamed, and release its lock."""
        shutil.rmtree(self._path, ignore_errors=True)
        os.close(self._descriptor)


class WritableFolder(Folder):
    """A folder whose files can also be changed. Each change is done completely or not at all.

    Nothing outside `path` is changed. The methods below raise StorageError, with a public text, if
    the file system reports an error.

    :param may_return: whether the folder is created again after it has gone.
    :param is_confined: whether to refuse writing if `path` is a link out of its parent folder.
    """

    def __init__(
        self, path: Path, *, may_return: bool = True, is_confined: bool = False, **options: Any
    ) -> None:
        super().__init__(path, **options)
        self._may_return = may_return
        self._is_confined = is_confined

    def write_json(self, relative: str, value: Any, *, mode: int | None = None) -> None:
        """Replace a JSON file as a whole; parameters are those of `write_bytes`."""
        self.write_bytes(relative, json_text.dump(value), mode=mode)

    def write_bytes(self, relative: str, data: bytes, *, mode: int | None = None) -> None:
        """Replace a file as a whole. Create its folder if it is missing.

        :param mode: permission bits; by default those of the file that is replaced.
        """
        with atomic.report_errors_as(_CANNOT_WRITE), self._placed(relative, create=0o755) as path:
            atomic.write_whole(path, data, mode)

    def create_empty(self, relative: str) -> None:
        """Create an empty file, unless a file or folder of that name exists; replace a link.

        Neither a temporary file nor a block of the disk is needed.
        """
        with atomic.report_errors_as(_CANNOT_WRITE), self._placed(relative, create=0o755) as path:
            if os.path.islink(path):
                os.unlink(path)
            with suppress(FileExistsError):
                atomic.create_empty(path)

    def write_json_lines(self, relative: str, records: Iterable[Any]) -> None:
        """Replace a `.jsonl` file as a whole."""
        self.write_bytes(relative, b"".join(map(json_text.dump_line, records)))

    def append_json_line(self, relative: str, value: Any) -> None:
        """Append a record to a `.jsonl` file."""
        with atomic.report_errors_as(_CANNOT_WRITE), self._placed(relative, create=0o755) as path:
            atomic.append_line(path, json_text.dump_line(value))

    def can_append(self, relative: str) -> bool:
        """Return whether a file can probably be appended to, or created, without trying it."""
        path = files.resolve(self.path, relative)
        return path is not None and atomic.can_append(path)

    def rename(self, relative: str, name: str) -> None:
        """Rename a file in its folder. The new name must not exist."""
        with atomic.report_errors_as(_CANNOT_WRITE), self._placed(relative) as path:
            os.link(path, os.path.join(os.path.dirname(path), name), follow_symlinks=False)
            os.unlink(path)

    def make_private(self, relative: str) -> None:
        """Create a folder if it is missing, and set its mode to 0700."""
        folder = os.path.join(relative, "")
        with atomic.report_errors_as(_CANNOT_WRITE), self._placed(folder, create=0o700) as path:
            os.chmod(path, 0o700)

    def remove(self, relative: str) -> None:
        """Remove a file or an empty directory, if it exists."""
        with (
            atomic.report_errors_as(_CANNOT_WRITE),
            suppress(FileNotFoundError, NotADirectoryError),
            self._placed(relative) as path,
        ):
            if os.path.isdir(path) and not os.path.islink(path):
                os.rmdir(path)
            else:
                os.unlink(path)

    def remove_tree(self, relative: str) -> None:
        """Delete a directory with all its content. It vanishes for readers at one moment.

        Links are not followed, and a link in place of the directory is left.
        """
        with (
            atomic.report_errors_as(_CANNOT_WRITE),
            suppress(FileNotFoundError, NotADirectoryError),
            self._placed(relative) as path,
        ):
            if os.path.isdir(path) and not os.path.islink(path):
                hidden = atomic.temporary_name(*os.path.split(path))
                os.rename(path, hidden)
                shutil.rmtree(hidden, ignore_errors=True)

    @contextmanager
    def new_folder(self, parent: str) -> Iterator[NewFolder]:
        """Create a hidden folder in `parent`; fill it, then call its `appear_as`.

        :raises StorageError: for each error of the file system; the folder is removed then.
        """
        with (
            atomic.report_errors_as(_CANNOT_WRITE),
            self._placed(os.path.join(parent, ""), create=0o755) as path,
        ):
            folder = NewFolder(path)
            try:
                yield folder
            finally:
                folder.close()

    @contextmanager
    def locked(
        self, relative: str, *, folder_mode: int = 0o755, seconds: float = atomic.LOCK_SECONDS
    ) -> Iterator[None]:
        """Lock a file against other processes of the server while the block runs.

        :param folder_mode: permission bits of its folder, if that has to be created.
        :param seconds: how long to wait for the lock.
        """
        with (
            atomic.report_errors_as(_CANNOT_WRITE),
            self._placed(relative, create=folder_mode) as path,
            atomic.locked(path, seconds),
        ):
            yield

    def document_for_update(self, relative: str) -> Any:
        """Return the content of a JSON file that is to be changed; None if it is missing.

        Hold its lock from here until it is written.

        :raises StorageError: if the file is damaged or cannot be read, since replacing it would
            lose its content.
        """
        for _ in range(_TRIES):
            if not os.path.lexists(self.path / relative):
                return None
            try:
                data, _version = files.read(self.path, relative, MAX_COPY_BYTES)
                return json_text.parse(data)
            except (OSError, json_text.Damaged):
                time.sleep(RETRY_SECONDS)
        raise StorageError(_CANNOT_READ)

    def sweep(self, *relatives: str) -> None:
        """Remove the temporaries that killed processes of the server left in these folders."""
        for relative in relatives:
            with (
                suppress(OSError, StorageError),
                self._placed(os.path.join(relative, "")) as folder,
            ):
                for path in atomic.abandoned_temporaries(folder):
                    shutil.rmtree(path, ignore_errors=True)
                    with suppress(OSError):
                        os.unlink(path)

    @contextmanager
    def _placed(self, relative: str, *, create: int | None = None) -> Iterator[str]:
        """Yield the path of a name in an open folder.

        Whatever replaces the folder meanwhile, nothing outside the root is changed.

        :param relative: with a slash at its end for the folder itself.
        :param create: permission bits of its folder, if that has to be created. The parent of the
            root is not created.
        :raises StorageError: if it is outside the root.
        :raises Conflict: if the root has gone and must not be created again.
        :raises LinkedFolder: if the root may not be a link out of its parent, and is.
        """
        if create is not None and not self._may_return and self.is_gone():
            raise Conflict("The state folder is gone, so nothing was changed")
        if self._is_confined and files.leads_out(self.path):
            raise LinkedFolder(_LEADS_OUT)
        folder, name = os.path.split(relative)
        located = files.locate(self.path, folder)
        if located is None:
            raise StorageError(_CANNOT_WRITE)
        with files.entered(*located, create) as path:
            yield os.path.join(path, name) if name else path
