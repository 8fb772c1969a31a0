"""Icons and manifest of the page."""

import json
import zlib

from hub_app.http.responses import PAGE_DIR
from tests.hub_app.page.icons import pixels

_HEADER_BYTES = 33


def test_the_icon_is_as_it_is_drawn() -> None:
    png = (PAGE_DIR / "frame" / "icons" / "icon-192.png").read_bytes()
    length = int.from_bytes(png[_HEADER_BYTES : _HEADER_BYTES + 4])
    data = png[_HEADER_BYTES + 8 :][:length]
    assert zlib.decompress(data) == pixels(192), "run python -m tests.hub_app.page.icons"


def test_the_manifest_names_files_that_exist() -> None:
    manifest = json.loads((PAGE_DIR / "frame" / "manifest.json").read_text(encoding="utf-8"))
    assert all((PAGE_DIR / "frame" / icon["src"]).is_file() for icon in manifest["icons"])
    assert manifest["start_url"] == "../../"
