"""Outputs of a node: LED strip, buzzer, fan and display, with the commands that each takes."""

from typing import Any
from urllib.parse import quote

from bus.contract.commands import FAN_MODES
from bus.contract.description import About
from bus.contract.topics import TopicKind
from hub_app.http.views.template import Html, attributes, fill, join
from hub_app.live.change import Change
from hub_app.live.state import State

# Pattern of the command, label of the button.
_PATTERNS = (("beep", "Beep"), ("beep3", "3 beeps"), ("long", "Long"), ("off", "Silence"))

_OUTPUT = '<div class="output" data-output="$name"><h3>$label</h3>\n$content</div>\n'
_STRIP = '<div class="strip"$attributes>$leds</div>\n$controls'
_CIRCLE = """<svg viewBox="0 0 16 16" class="led" aria-hidden="true">\
<circle cx="8" cy="8" r="6" fill="$color"/></svg>"""
_LED_BUTTON = '<button type="button" class="led-button"$attributes>$circle</button>'
_COLOR = """<div class="buttons"><label>Colour \
<input type="color" id="led-color" value="#ff8800"></label>
<button type="button" class="small" id="leds-all">Whole strip</button>
<button type="button" class="small" id="leds-off">Strip off</button></div>
<p class="quiet">An LED that is pressed takes the colour.</p>
"""
_STATE = '<p data-topic="$topic"><span class="state"$on>$text</span></p>\n$controls'
_BUTTONS = '<div class="buttons" role="group" aria-label="$label">$buttons</div>\n'
_BUTTON = '<button type="button" class="small"$attributes>$label</button>'
_SCREEN = """<div class="oled" data-topic="$topic"><p><span class="state"$on>$text</span></p>
<div class="screen"><img src="$path?v=$digest" data-path="$path" alt="what the display shows" \
width="$width" height="$height"></div></div>
"""
_ANSWER = '<output class="answer" id="output-answer" data-answers-of="$node"></output>\n'


def outputs(state: State, node: str, about: About, root: str, *, operates: bool) -> Html:
    """Return each output that the node has told of, in its state."""
    entries = {entry.kind: entry for entry in state.of_node(node)}
    takes = about.actuators if operates else {}
    drawn = [
        ("leds", "LED strip", _strip(entries.get(TopicKind.LEDS), is_set="leds" in takes)),
        ("buzzer", "Buzzer", _buzzer(entries.get(TopicKind.BUZZER), takes.get("buzzer", []))),
        ("fan", "Fan", _fan(entries.get(TopicKind.FAN), takes.get("fan", []))),
        ("oled", "Display", _screen(entries.get(TopicKind.OLED), root)),
    ]
    parts = [
        fill(_OUTPUT, name=name, label=label, content=content)
        for name, label, content in drawn
        if content
    ]
    return join([*parts, fill(_ANSWER, node=node)]) if parts else Html("")


def _strip(entry: Change | None, *, is_set: bool) -> Html:
    if entry is None:
        return Html("")
    pixels: list[str] = entry.value.pixels
    lit = sum(pixel != "#000000" for pixel in pixels)
    label = f"{lit} of {len(pixels)} LEDs lit"
    return fill(
        _STRIP,
        attributes=attributes(
            data_topic=entry.topic, role="group" if is_set else "img", aria_label=label
        ),
        leds=join([_led(i, color, is_set=is_set) for i, color in enumerate(pixels)]),
        controls=Html(_COLOR) if is_set else "",
    )


def _led(index: int, color: str, *, is_set: bool) -> Html:
    circle = fill(_CIRCLE, color=color)
    if not is_set:
        return circle
    found = attributes(data_led=index, id=f"led-{index}", aria_label=f"LED {index}, {color}")
    return fill(_LED_BUTTON, attributes=found, circle=circle)


def _buzzer(entry: Change | None, words: list[str]) -> Html:
    if entry is None:
        return Html("")
    text = f"sounding {entry.value.pattern}" if entry.value.sounding else "silent"
    buttons = [
        (label, {"data_node": entry.node, "data_pattern": word})
        for word, label in _PATTERNS
        if word in words
    ]
    return _state(entry, text, is_on=entry.value.sounding, controls=_group("Buzzer", buttons))


def _fan(entry: Change | None, words: list[str]) -> Html:
    if entry is None:
        return Html("")
    fan = entry.value
    buttons = [
        (mode.capitalize(), {"data_fan": mode, "aria_pressed": str(mode == fan.mode).lower()})
        for mode in FAN_MODES
        if mode in words
    ]
    text = f"{'on' if fan.on else 'off'} ({fan.mode})"
    return _state(entry, text, is_on=fan.on, controls=_group("Fan", buttons))


def _state(entry: Change, text: str, *, is_on: bool, controls: Html) -> Html:
    return fill(
        _STATE, topic=entry.topic, on=attributes(data_on=is_on), text=text, controls=controls
    )


def _group(label: str, buttons: list[tuple[str, dict[str, Any]]]) -> Html:
    if not buttons:
        return Html("")
    made = [fill(_BUTTON, label=text, attributes=attributes(**found)) for text, found in buttons]
    return fill(_BUTTONS, label=label, buttons=join(made))


def _screen(entry: Change | None, root: str) -> Html:
    if entry is None:
        return Html("")
    oled = entry.value
    return fill(
        _SCREEN,
        topic=entry.topic,
        on=attributes(data_on=oled.on),
        text="on" if oled.on else "off",
        path=f"{root}/api/nodes/{quote(entry.node, safe='')}/oled.png",
        digest=oled.digest,
        # Two CSS pixels per pixel of the display; the PNG has four.
        width=2 * oled.width,
        height=2 * oled.height,
    )
