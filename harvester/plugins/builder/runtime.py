"""Builds the runtime component, which runs every bundle: once for a contract and a toolchain.

It imports all interfaces of the contract and exports all that a plugin may; a host links only what
a bundle declares.
"""

import hashlib
import re
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from bus.install import assets
from harvester.errors import BuildError
from harvester.plugins.builder import border, contract, guest_modules, toolchain
from harvester.plugins.builder.contract import World

_RECIPE = "bundle-runtime-1"
_WORLD = "bundle-runtime"
# What the first of two builds leaves for the second.
_PACKED = "stdlib.packed"
_SOURCE, _LOADER = "plugin-source", "bundle-loader"
_PACKAGE = re.compile(r"^package .*;$", re.MULTILINE)


def ensure() -> Path:
    """Return the runtime component, building it where it is missing or outdated.

    Raises BuildError; ToolMissingError where there is no toolchain.
    """
    wasm = assets.bundle_runtime()
    if is_current(wasm):
        return wasm
    with toolchain.sole_build(wasm.parent, wasm.stem) as waited:
        if not (waited and is_current(wasm)):
            began_s = time.monotonic()
            print(f"{wasm.name}: building, once for all bundles", flush=True)
            _build(wasm, toolchain.compiler())
            size_mb = wasm.stat().st_size / 1e6
            print(
                f"  {wasm.name}: {size_mb:.1f} MB, {time.monotonic() - began_s:.1f} s", flush=True
            )
    return wasm


def is_current(wasm: Path) -> bool:
    """Whether the component was built of the contract on disk. A wheel's was."""
    if assets.is_packaged():
        return wasm.is_file()
    try:
        return wasm.is_file() and _stamp(wasm).read_text() == _digest_of_inputs()
    except FileNotFoundError:
        return False


def world(wit: str) -> World:
    """Return all interfaces of a contract: what some world of it imports or exports."""
    worlds = contract.read(wit).worlds.values()
    return World(
        sorted({name for found in worlds for name in found.imports}),
        sorted({name for found in worlds for name in found.exports}),
    )


def _contracts() -> tuple[str, str]:
    folder = assets.root() / "wit"
    return (folder / "plugin.wit").read_text(), (folder / "bundle-runtime.wit").read_text()


def _stamp(wasm: Path) -> Path:
    return wasm.with_suffix(".wasm.inputs")


def _digest_of_inputs() -> str:
    digest = hashlib.sha256(f"{_RECIPE}:{version('componentize-py')}:".encode())
    for text in (*_contracts(), *guest_modules.runtime_texts().values()):
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()


def _build(wasm: Path, compiler: Path) -> None:
    inputs = _digest_of_inputs()
    plugin_wit, own_wit = _contracts()
    everything = world(plugin_wit)
    partial = wasm.with_suffix(".wasm.partial")
    with tempfile.TemporaryDirectory() as directory:
        wit, guest = Path(directory) / "runtime.wit", Path(directory) / "guest"
        wit.write_text("\n".join((plugin_wit, _PACKAGE.sub("", own_wit), _spelled(everything))))
        border.write_runtime(guest, plugin_wit, everything)
        command = [str(compiler), "--quiet", "-d", str(wit), "-w", _WORLD, "componentize"]
        command += ["-p", str(guest), "-o", str(partial)]
        try:
            done = toolchain.run([*command, border.PACK], wasm, Path(directory))
            if (guest / _PACKED).is_file():
                done = toolchain.run([*command, border.ENTRY], wasm, Path(directory))
            if done.returncode != 0:
                raise BuildError(f"{wasm}: {done.stderr or done.stdout}")
            partial.replace(wasm)
        finally:
            partial.unlink(missing_ok=True)
    _stamp(wasm).write_text(inputs)


def _spelled(everything: World) -> str:
    """Return the runtime's world in WIT."""
    lines = [f"import {name};" for name in (*everything.imports, _SOURCE)]
    lines += [f"export {name};" for name in (*everything.exports, _LOADER)]
    return "\n    ".join((f"world {_WORLD} {{", *lines)) + "\n}\n"
