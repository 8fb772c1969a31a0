"""Wheel made from an installed distribution: its files, packed as they were before (PEP 427)."""

import base64
import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path

from bus.errors import UnavailableError

# pip writes these anew; scripts are made from the entry points.
_INSTALLED_ONLY = frozenset({"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"})
_TAG = re.compile(r"^Tag: *([\w.]+)-([\w.]+)-([\w.]+) *$", re.MULTILINE)
# The time in a zip, which has none before; equal files make equal wheels.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644 << 16
_CHUNK = 1 << 20


def name_of(distribution: Distribution) -> str:
    """Return the file name of the wheel, with all tags that the installed one had."""
    found = _TAG.findall(distribution.read_text("WHEEL") or "")
    if not found:
        raise UnavailableError(f"{distribution.name}: found no WHEEL file in what is installed")
    tags = "-".join(".".join(sorted({tag[part] for tag in found})) for part in range(3))
    return f"{_escaped(distribution.name)}-{_escaped(distribution.version)}-{tags}.whl"


def make(distribution: Distribution, folder: Path) -> Path:
    """Write the wheel into `folder` and return its path. Raises UnavailableError."""
    target = folder / name_of(distribution)
    partial = target.with_suffix(".partial")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
            _fill(archive, distribution)
        partial.replace(target)
    except OSError as e:
        partial.unlink(missing_ok=True)
        raise UnavailableError(f"{target}: cannot be written: {e}") from e
    return target


def _fill(archive: zipfile.ZipFile, distribution: Distribution) -> None:
    rows: list[tuple[str, str, str]] = []
    info = ""
    for source, name in _files(distribution):
        if name.endswith(".dist-info/WHEEL"):
            info = name.removesuffix("WHEEL")
        rows.append((name, *_add(archive, source, name)))
    if not info:
        raise UnavailableError(f"{distribution.name}: found no WHEEL file in what is installed")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([*rows, (f"{info}RECORD", "", "")])
    archive.writestr(_entry(f"{info}RECORD"), text.getvalue())


def _files(distribution: Distribution) -> Iterator[tuple[Path, str]]:
    for file in distribution.files or ():
        source = Path(str(distribution.locate_file(file)))
        # Beyond the folder of packages: scripts and manual pages.
        is_packed = ".." not in file.parts and not file.is_absolute() and file.suffix != ".pyc"
        is_installed_only = file.name in _INSTALLED_ONLY and file.parent.name.endswith(".dist-info")
        if is_packed and not is_installed_only and source.is_file():
            yield source, file.as_posix()


def _add(archive: zipfile.ZipFile, source: Path, name: str) -> tuple[str, str]:
    """Add a file; return its hash and size as RECORD has them."""
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as file, archive.open(_entry(name), "w") as target:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            target.write(chunk)
    text = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
    return f"sha256={text}", str(size)


def _entry(name: str) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name, _EPOCH)
    made.external_attr = _MODE
    made.compress_type = zipfile.ZIP_DEFLATED
    return made


def _escaped(text: str) -> str:
    # PEP 427, "Escaping and Unicode", as binary distribution formats have it today.
    return re.sub(r"[^\w\d.+!]+", "_", text).lower() if "-" in text else text
