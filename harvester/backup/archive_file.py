"""Reader of a backup: every name, size and checksum is checked before anything is restored.

Nothing is ever unpacked by the names of the archive itself: only what the manifest lists, each name
of a form that cannot lead out of its place.
"""

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from harvester.backup import manifest as manifests
from harvester.backup.archive import CHUNK_BYTES
from harvester.backup.errors import BadArchiveError
from harvester.backup.manifest import Manifest, Part
from harvester.backup.progress import Progress

_ENCRYPTED = 0x1
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


class ArchiveFile:
    """An open archive whose list of files is checked; `verify` reads all of it.

    Raises BadArchiveError where it is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as e:
            raise BadArchiveError(f"{path}: {e.strerror or e}") from e
        except _DAMAGE as e:
            raise BadArchiveError(
                f"{path}: found no backup, or a damaged or truncated one: {e}"
            ) from e
        try:
            self.manifest = self._checked_manifest()
        except BadArchiveError as e:
            self._zip.close()
            raise BadArchiveError(f"{path}: {e}") from e

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()

    @property
    def total_bytes(self) -> int:
        return sum(part.bytes for part in self.manifest.parts)

    def verify(self) -> None:
        """Compare size and checksum of every file. Raises BadArchiveError."""
        progress = Progress(self.total_bytes)
        try:
            for part in self.manifest.parts:
                for _chunk in self.chunks(part):
                    progress.show(f"checking {part.name}", 0.0, part.bytes)
                progress.finish_part(part.bytes)
        finally:
            progress.clear()

    def chunks(self, part: Part) -> Iterator[bytes]:
        """Yield the content of a file; raises BadArchiveError at its end where that is another."""
        digest, total = hashlib.sha256(), 0
        try:
            with self._zip.open(part.name) as read:
                while chunk := read.read(CHUNK_BYTES):
                    total += len(chunk)
                    if total > part.bytes:
                        break
                    digest.update(chunk)
                    yield chunk
        except (OSError, *_DAMAGE) as e:
            raise BadArchiveError(f"{self.path}: {part.name} is damaged: {e}") from e
        if total != part.bytes or digest.hexdigest() != part.sha256:
            raise BadArchiveError(
                f"{self.path}: {part.name} is damaged: its size or checksum is another"
            )

    def read(self, part: Part, most_bytes: int) -> bytes:
        """Return the content of a small file. Raises BadArchiveError."""
        if part.bytes > most_bytes:
            raise BadArchiveError(
                f"{self.path}: {part.name} has {part.bytes} bytes, expected at most {most_bytes}"
            )
        return b"".join(self.chunks(part))

    def _checked_manifest(self) -> Manifest:
        entries = self._zip.infolist()
        if len(entries) > manifests.MAX_PARTS + 1:
            raise BadArchiveError(f"found {len(entries)} files in it")
        for entry in entries:
            _check_entry(entry)
        names = [entry.filename for entry in entries]
        if manifests.NAME not in names:
            raise BadArchiveError(f"found no {manifests.NAME}, so it is no backup")
        manifest = manifests.decode(self._manifest_bytes())
        if sorted(names) != sorted([manifests.NAME, *(part.name for part in manifest.parts)]):
            raise BadArchiveError("its files are not those of its manifest")
        return manifest

    def _manifest_bytes(self) -> bytes:
        try:
            with self._zip.open(manifests.NAME) as read:
                data = read.read(manifests.MAX_BYTES + 1)
        except (OSError, *_DAMAGE) as e:
            raise BadArchiveError(f"{manifests.NAME} is damaged: {e}") from e
        if len(data) > manifests.MAX_BYTES:
            raise BadArchiveError(f"{manifests.NAME} is larger than {manifests.MAX_BYTES} bytes")
        return data


def _check_entry(entry: zipfile.ZipInfo) -> None:
    """Raise BadArchiveError where an entry is no plain file."""
    if entry.filename != manifests.NAME:
        manifests.check_name(entry.filename)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise BadArchiveError(f"{entry.filename}: found a link, a folder or a device")
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _COMPRESSIONS:
        raise BadArchiveError(f"{entry.filename}: found another packing than that of a backup")
