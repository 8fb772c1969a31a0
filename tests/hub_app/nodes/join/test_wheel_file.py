"""Wheels made from installed distributions: pip installs them as it did the ones before."""

import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from bus.errors import UnavailableError
from hub_app.nodes.join import wheel_file, wheels


@pytest.mark.parametrize("name", ["msgspec", "starlette"])
def test_pip_installs_the_wheel_of_an_installed_distribution(name: str, tmp_path: Path) -> None:
    found = metadata.distribution(name)
    made = wheel_file.make(found, tmp_path)
    assert made.name == wheel_file.name_of(found)
    words = ("-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target")
    target = tmp_path / "target"
    subprocess.run([sys.executable, *words, target, made], check=True, timeout=120)
    (again,) = metadata.distributions(name=name, path=[str(target)])
    assert again.version == found.version
    sources = {str(file) for file in found.files or () if file.suffix in (".py", ".so")}
    assert sources <= {str(file) for file in again.files or ()}


def test_equal_distributions_make_equal_wheels(tmp_path: Path) -> None:
    found = metadata.distribution("msgspec")
    first = wheel_file.make(found, tmp_path).read_bytes()
    assert wheel_file.make(found, tmp_path).read_bytes() == first


def test_a_wheel_has_no_trace_of_its_installation(tmp_path: Path) -> None:
    made = wheel_file.make(metadata.distribution("starlette"), tmp_path)
    names = [Path(name).name for name in zipfile.ZipFile(made).namelist()]
    assert not {"INSTALLER", "REQUESTED", "direct_url.json"} & set(names)
    assert not [name for name in names if name.endswith(".pyc")]
    assert names[-1] == "RECORD"


def test_a_full_disk_leaves_no_part_of_a_wheel(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be written"):
        wheel_file.make(metadata.distribution("starlette"), tmp_path / "absent")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "machine", "is_fitting"),
    [
        ("a-1-py3-none-any.whl", "aarch64", True),
        ("a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "x86_64", True),
        ("a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "aarch64", False),
        ("a-1-cp311-cp311-linux_armv7l.whl", "armv7l", True),
        ("a-1-cp311-cp311-macosx_11_0_arm64.whl", "arm64", False),
    ],
)
def test_a_wheel_fits_its_architecture(name: str, machine: str, *, is_fitting: bool) -> None:
    assert wheels.fits(name, machine) == is_fitting
