"""File that is deployed: a plugin's bundle, packed or read, or its component."""

import argparse
from pathlib import Path

import msgspec

from bus.contract.bounds import MAX_COMPONENT_BYTES
from bus.contract.plugin_file import bundle, component_file, worlds
from bus.errors import MisconfiguredError
from harvester.plugins import manifest
from harvester.plugins.builder.checks.source_check import APP
from harvester.plugins.builder.pack import pack
from harvester.plugins.project import chosen, contract_file
from harvester.plugins.source import PluginSource, is_current
from hub_app.nodes.delivery.delivery_files import DeliveryFiles, check_bundle, check_component
from hub_app.nodes.delivery.rollout import Target


class Deployed(msgspec.Struct, frozen=True):
    """The content of a plugin's file, and the version that it is; its digest is not known yet."""

    name: str
    content: bytes
    target: Target

    def keep(self, files: DeliveryFiles) -> Target:
        """Keep the file; return the version with its digest. Raises MisconfiguredError."""
        is_component = self.target.form == "component"
        keep = files.keep_component if is_component else files.keep_bundle
        return msgspec.structs.replace(self.target, sha256=keep(self.content))


def find(options: argparse.Namespace, *, prefers_component: bool) -> Deployed:
    """Return what is to be deployed. Raises MisconfiguredError, BuildError."""
    path = Path(options.plugin)
    if path.suffix == component_file.SUFFIX:
        return _component(path, options, options.world or _world_beside(path))
    if path.suffix == bundle.SUFFIX:
        return _bundle(path.stem, _read(path, "a bundle"), options)
    (source,) = chosen(options.project, [options.plugin])
    # One in another language has no source that could be packed.
    is_built_elsewhere = not (source.directory / APP).is_file() and source.wasm.is_file()
    if options.component or prefers_component or is_built_elsewhere:
        if not is_built_elsewhere:
            _check_current(source, contract_file(options.project))
        return _component(source.wasm, options, source.manifest.world)
    return _bundle(source.name, pack(source, contract_file(options.project)), options)


def _bundle(name: str, content: bytes, options: argparse.Namespace) -> Deployed:
    said = check_bundle(content, options.plugin)
    version, world = said.description.version, said.world
    return Deployed(
        name, content, Target("", version, world, options.polls, is_shadow=options.shadow)
    )


def _component(path: Path, options: argparse.Namespace, world: str) -> Deployed:
    if sentence := worlds.refusal(world):
        raise MisconfiguredError(f"{path}: {sentence}; `--world` names it")
    said = check_component(path)
    content = _read(path, "a component")
    if len(content) > MAX_COMPONENT_BYTES:
        raise MisconfiguredError(f"{path}: found over {MAX_COMPONENT_BYTES} bytes, expected fewer")
    contract = component_file.contract_version(content)
    if not contract:
        raise MisconfiguredError(
            f"{path}: found no interface of harvester:plugin in it, expected a plugin's component"
        )
    target = Target(
        version=said.version,
        world=world,
        probation=options.polls,
        is_shadow=options.shadow,
        form="component",
        size_bytes=len(content),
        contract=contract,
    )
    return Deployed(path.stem, content, target)


def _read(path: Path, expected: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}; expected {expected}") from e


def _check_current(source: PluginSource, wit: Path) -> None:
    if not is_current(source, wit):
        raise MisconfiguredError(
            f"{source.wasm}: found no component of the present source; run `harvester plugins "
            f"build {source.name}`"
        )


def _world_beside(path: Path) -> str:
    """Return the world that a manifest beside a component names, empty where there is none."""
    file = path.parent / manifest.NAME
    return manifest.read(file).world if file.is_file() else ""
