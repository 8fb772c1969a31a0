"""The view of alarms where a fleet has thousands of active ones."""

import asyncio
from pathlib import Path

import httpx
import pytest

from hub_app.alarms.engine import Active
from hub_app.alarms.monitor import AlarmMonitor
from hub_app.http.app import create_app
from hub_app.http.views import alarms
from tests.hub_app.test_any_message import Core
from tests.support import HOST


def test_the_most_urgent_are_shown_and_the_others_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        Active("pi4", f"{severity}-1", "rule", severity, f"the {severity} one", 0)
        for severity in ("info", "warning", "critical")
    ]
    monkeypatch.setattr(AlarmMonitor, "active", property(lambda _self: found))
    monkeypatch.setattr(alarms, "_ACTIVE_LINES", 2)
    app = create_app(Core(tmp_path).hub)

    async def page() -> str:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as http:
            return (await http.get("/alarms")).text

    text = asyncio.run(page())
    assert text.index("the critical one") < text.index("the warning one")
    assert "the info one" not in text
    assert "and 1 more, which are less urgent" in text
