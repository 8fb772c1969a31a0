"""Outputs of the nodes: LED strips, displays, buzzers and fans."""

from dashboard.markup import Html, element
from dashboard.model import Entry, Model

# Buttons of a buzzer: pattern of the command, label of the button.
BUTTONS = (("beep", "BEEP"), ("beep3", "BEEP x3"), ("long", "LONG"))


def outputs(model: Model) -> Html | str:
    """Return a row for every node that has an output, or nothing."""
    rows = [_node(model, node) for node in model.nodes() if _has_output(model, node)]
    if not rows:
        return ""
    return element(
        "section",
        element("h2", "Outputs", id="outputs"),
        *rows,
        class_="panel outputs",
        aria_labelledby="outputs",
    )


def _has_output(model: Model, node: str) -> bool:
    return any(model.find(kind, node) for kind in ("leds", "buzzer", "fan", "oled"))


def _node(model: Model, node: str) -> Html:
    kinds = ("leds", "oled", "fan", "buzzer")
    leds, oled, fan, buzzer = (model.find(kind, node) for kind in kinds)
    return element(
        "div",
        element("h3", node),
        _strip(leds) if leds else "",
        _oled(oled, model.root_path) if oled else "",
        _fan(fan) if fan else "",
        _buzzer(buzzer, with_buttons=model.may_command) if buzzer else "",
        # The newest result of any command; screen readers read it out when it changes.
        element("output", _newest_result(model, node), class_="answer", data_answers_of=node),
        class_="output",
        data_presence_of=node,
        data_presence=model.presence(node),
    )


def _strip(leds: Entry) -> Html:
    pixels = leds.value["pixels"]
    lit = sum(pixel != "#000000" for pixel in pixels)
    dots = (element("circle", cx=8, cy=8, r=6, fill=pixel) for pixel in pixels)
    return element(
        "div",
        *(element("svg", dot, viewBox="0 0 16 16", class_="led") for dot in dots),
        class_="strip",
        role="img",
        aria_label=f"{lit} of {len(pixels)} LEDs lit",
        data_topic=leds.topic,
        data_strip=True,
    )


def _oled(oled: Entry, root: str) -> Html:
    value = oled.value
    path = f"{root}/api/nodes/{oled.node}/oled.png"
    picture = element(
        "img",
        src=f"{path}?v={value['digest']}",
        alt=f"what the display of {oled.node} shows",
        # Two CSS pixels per display pixel; the PNG has four.
        width=2 * value["width"],
        height=2 * value["height"],
        data_path=path,
    )
    return element(
        "div",
        element(
            "p",
            "display ",
            element("span", "on" if value["on"] else "off", class_="state", data_on=value["on"]),
        ),
        element("div", picture, class_="screen"),
        class_="oled",
        data_topic=oled.topic,
    )


def _fan(fan: Entry) -> Html:
    text = f"{'on' if fan.value['on'] else 'off'} ({fan.value['mode']})"
    return element(
        "p",
        "fan ",
        element("span", text, class_="state", data_on=fan.value["on"]),
        class_="fan",
        data_topic=fan.topic,
        data_fan=True,
    )


def _buzzer(buzzer: Entry, *, with_buttons: bool) -> Html:
    sounding = buzzer.value["sounding"]
    text = f"sounding {buzzer.value['pattern']}" if sounding else "silent"
    return element(
        "div",
        element(
            "p",
            "buzzer ",
            element("span", text, class_="state", data_on=sounding),
            data_topic=buzzer.topic,
            data_buzzer=True,
        ),
        _buttons(buzzer.node) if with_buttons else "",
        class_="buzzer",
    )


def _buttons(node: str) -> Html:
    return element(
        "div",
        *(_button(node, pattern, label) for pattern, label in BUTTONS),
        class_="buttons",
        role="group",
        aria_label=f"Sound the buzzer of {node}",
    )


def _button(node: str, pattern: str, label: str) -> Html:
    return element("button", label, type="button", data_node=node, data_pattern=pattern)


def _newest_result(model: Model, node: str) -> str:
    results = [entry for entry in model.of_kind("result") if entry.node == node]
    if not results:
        return ""
    newest = max(results, key=lambda entry: entry.value["finished_ms"])
    return f"{newest.name}: {'done' if newest.value['ok'] else newest.value['error']}"
