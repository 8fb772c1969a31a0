"""List of the wheels that the hub serves to a node for its update, in JSON over HTTPS."""

from typing import Annotated

import msgspec

WHEELS_PATH = "/update/wheels"
MOST_WHEELS = 256
MOST_BYTES = 300_000_000

FileName = Annotated[str, msgspec.Meta(max_length=256, pattern=r"^[A-Za-z0-9_.+!-]+\.whl\Z")]
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class WheelEntry(msgspec.Struct, frozen=True):
    """A file of the list."""

    name: FileName
    sha256: Digest
    bytes: Annotated[int, msgspec.Meta(ge=1, le=MOST_BYTES)]


class WheelList(msgspec.Struct, frozen=True):
    """HARVESTER's own wheel, which the hub runs, first; then libraries. `version` is the hub's.

    `bundle_key` is the public key of its signatures of bundles, in hexadecimal.
    """

    version: Annotated[str, msgspec.Meta(max_length=80, pattern=r"^[A-Za-z0-9.+!_-]+\Z")]
    wheels: Annotated[list[WheelEntry], msgspec.Meta(min_length=1, max_length=MOST_WHEELS)]
    bundle_key: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")] = ""
    ok: bool = True
