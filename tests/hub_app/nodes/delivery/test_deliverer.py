"""Deliverer of plugins without a broker: it follows the file that commands change."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from hub_app.nodes.delivery import rollout
from hub_app.nodes.delivery.deliverer import Deliverer
from hub_app.nodes.delivery.rollout import Rollout
from hub_app.nodes.delivery.wanted import Deliveries


def made(plugin: str) -> Rollout:
    return rollout.for_nodes(Rollout(plugin=plugin, action="rollback", started_ms=1), ["pi4"])


def test_a_rollout_that_begins_while_another_is_saved_is_followed(tmp_path: Path) -> None:
    state = SimpleNamespace(has_node=lambda _name: False, value=lambda _topic: None)
    hub = SimpleNamespace(state=state, bus=SimpleNamespace(publish_payload=lambda *_: None))
    files = SimpleNamespace(state_dir=tmp_path, login_dir=tmp_path)
    deliverer = Deliverer(cast(Any, files), cast(Any, hub))
    change = deliverer.files.change

    def change_and_begin(function: Callable[[Deliveries], Deliveries]) -> Deliveries:
        changed = change(function)
        deliverer.files.change = change  # type: ignore[method-assign]
        deliverer.files.start(made("second"))
        return changed

    deliverer.files.start(made("first"))
    deliverer.files.change = change_and_begin  # type: ignore[method-assign]

    async def run_twice() -> None:
        await deliverer.run()
        await deliverer.run()

    asyncio.run(run_twice())
    assert deliverer.fault == ""
    assert deliverer.found.wanted["pi4"].keys() == {"first", "second"}
