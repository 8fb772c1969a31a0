"""Fingers on a touch screen, through the browser's protocol."""

from selenium.webdriver import Chrome

Places = list[tuple[float, float]]

_STEPS = 8


def touch(driver: Chrome, *ways: tuple[tuple[float, float], tuple[float, float]]) -> None:
    """Put down a finger for each way, move them from its start to its end, and lift them."""
    _send(driver, "touchStart", [start for start, _ in ways])
    for step in range(1, _STEPS + 1):
        part = step / _STEPS
        _send(
            driver,
            "touchMove",
            [(x1 + (x2 - x1) * part, y1 + (y2 - y1) * part) for (x1, y1), (x2, y2) in ways],
        )
    _send(driver, "touchEnd", [])


def _send(driver: Chrome, kind: str, places: Places) -> None:
    points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
    driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
