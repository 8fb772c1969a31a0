"""Archives that are damaged, truncated, newer, hostile or no backup: all are refused."""

import os
import stat
import zipfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.backup.archive_file import ArchiveFile
from harvester.backup.errors import BadArchiveError
from harvester.backup.manifest import FORMAT, NAME, check_name
from tests.harvester.backup.small_hub import SmallHub

OWNER = {"uid": 0, "gid": 0, "user": "", "group": ""}


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    hub = SmallHub(folder / "old")
    hub.fill()
    hub.run("backup", str(folder / "hub.zip"))
    return folder / "hub.zip"


def refused(path: Path) -> str:
    with pytest.raises(BadArchiveError) as caught, ArchiveFile(path) as archive:
        archive.verify()
    return str(caught.value)


def changed(backup: Path, to: Path, **fields: object) -> Path:
    """Write a copy of a backup whose manifest has other values; `first` are those of a part."""
    first = fields.pop("first", {})
    with zipfile.ZipFile(backup) as old, zipfile.ZipFile(to, "w") as new:
        manifest = msgspec.json.decode(old.read(NAME)) | fields
        old_name = manifest["parts"][0]["name"]
        manifest["parts"][0] |= first
        for entry in old.namelist():
            name = manifest["parts"][0]["name"] if entry == old_name else entry
            data = msgspec.json.encode(manifest) if entry == NAME else old.read(entry)
            new.writestr(name, data)
    return to


def test_a_whole_backup_is_accepted(backup: Path) -> None:
    with ArchiveFile(backup) as archive:
        archive.verify()


def test_a_truncated_backup_is_refused_wherever_it_ends(backup: Path, tmp_path: Path) -> None:
    data = backup.read_bytes()
    for part in (0, 1, len(data) // 2, len(data) - 1):
        (tmp_path / "short.zip").write_bytes(data[:part])
        assert "damaged or truncated" in refused(tmp_path / "short.zip")


def test_a_byte_that_changed_is_found(backup: Path, tmp_path: Path) -> None:
    data = bytearray(backup.read_bytes())
    with zipfile.ZipFile(backup) as found:
        places = [entry.header_offset + 100 for entry in found.infolist() if entry.file_size > 200]
    for place in places:
        data[place] ^= 0x55
        (tmp_path / "bad.zip").write_bytes(data)
        assert refused(tmp_path / "bad.zip")
        data[place] ^= 0x55


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"format": FORMAT + 1}, "a newer version of this program wrote it"),
        ({"format": "x"}, "manifest.json"),
        ({"first": {"sha256": "0" * 64}}, "checksum"),
        ({"first": {"bytes": 3}}, "damaged"),
        ({"first": {"bytes": 10**12}}, "damaged"),
        ({"first": {"mode": 0o4755}}, "found mode"),
        ({"first": {"name": "../evil"}}, "no backup has"),
        ({"first": {"name": "/etc/passwd"}}, "no backup has"),
        ({"first": {"name": "state/../../evil"}}, "no backup has"),
        ({"first": {"name": "state/a\\b"}}, "no backup has"),
        ({"first": {"name": "other/file"}}, "no backup has"),
        ({"first": {"name": "state/accounts.json/x"}}, "within a file"),
        ({"folders": [{"name": "state/..", "mode": 0o700, "owner": OWNER}]}, "no backup has"),
        ({"parts": [], "folders": []}, "not those of its manifest"),
    ],
)
def test_a_manifest_that_no_backup_has_is_refused(
    backup: Path, tmp_path: Path, fields: dict[str, object], words: str
) -> None:
    if fields.get("parts") == []:
        with zipfile.ZipFile(tmp_path / "bad.zip", "w") as new:
            new.writestr("state/x", b"")
            manifest = {"format": 1, "program": "", "node": "", "made_ms": 0, **fields}
            new.writestr(NAME, msgspec.json.encode(manifest))
    else:
        changed(backup, tmp_path / "bad.zip", **fields)
    assert words in refused(tmp_path / "bad.zip")


def test_a_database_of_a_newer_version_is_refused(backup: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(backup) as old, zipfile.ZipFile(tmp_path / "new.zip", "w") as new:
        manifest = msgspec.json.decode(old.read(NAME))
        for part in manifest["parts"]:
            if part["name"] == "state/history.db":
                part["version"] += 1
        for entry in old.namelist():
            data = msgspec.json.encode(manifest) if entry == NAME else old.read(entry)
            new.writestr(entry, data)
    said = refused(tmp_path / "new.zip")
    assert "state/history.db" in said
    assert "update this one first" in said


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFDIR])
def test_a_link_or_a_device_is_refused(tmp_path: Path, kind: int) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as new:
        entry = zipfile.ZipInfo("state/link")
        entry.external_attr = (kind | 0o777) << 16
        new.writestr(entry, "/etc/passwd")
    assert "a link, a folder or a device" in refused(tmp_path / "bad.zip")


def test_another_file_is_no_backup(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    assert "found no backup" in refused(tmp_path / "text")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as new:
        new.writestr("state/x", b"")
    assert "found no manifest.json" in refused(tmp_path / "other.zip")
    assert "No such file" in refused(tmp_path / "missing")


@given(st.text(max_size=40))
def test_no_accepted_name_leads_out_of_its_place(text: str) -> None:
    for name in (text, f"state/{text}"):
        try:
            check_name(name)
        except BadArchiveError:
            continue
        assert os.path.normpath(f"/root/{name}") == f"/root/{name}"


def test_a_bad_archive_changes_nothing(backup: Path, tmp_path: Path) -> None:
    new = SmallHub(tmp_path / "new")
    changed(backup, tmp_path / "bad.zip", first={"sha256": "0" * 64})
    with pytest.raises(SystemExit) as caught:
        new.run("restore", str(tmp_path / "bad.zip"))
    assert caught.value.code == 1
    assert not new.folder.exists()
