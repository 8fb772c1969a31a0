"""Entities of a node's outputs: fan, buzzer, LEDs and display. Pure."""

from collections.abc import Iterator

from bus.contract.commands import PATTERNS
from bus.contract.topics import TopicKind
from hub_app.homeassistant import ids, templates
from hub_app.homeassistant.entities.entity import (
    COMMAND,
    Entity,
    command_topic,
    entity,
    picture_topic,
    topic,
)
from hub_app.homeassistant.facts import NodeFacts
from hub_app.homeassistant.site import Site

# Of a longer strip, the rest is left to its plugins.
_MOST_LIGHTS = 16
_TONES = {"beep": "Beep", "beep3": "Beep three times", "long": "Long beep"}


def of_outputs(site: Site, node: NodeFacts) -> Iterator[Entity]:
    """Yield every output that a node has."""
    if "auto" in node.commands_of("fan"):
        yield _fan(site, node)
    tones = [word for word in node.commands_of("buzzer") if word in PATTERNS and word != "off"]
    if tones:
        yield _siren(site, node, tones)
    for tone in tones:
        yield _button(site, node, tone)
    if "index" in node.commands_of("leds"):
        for index in range(min(node.leds, _MOST_LIGHTS)):
            yield _light(site, node, index)
    if node.has_display:
        yield _display(site, node)


def _fan(site: Site, node: NodeFacts) -> Entity:
    state_topic, commands = topic(node.node, TopicKind.FAN), command_topic(node.node, "fan")
    on, mode = templates.value_of("on"), templates.value_of("mode")
    return entity(
        "fan",
        ids.thing_id(node.node, "fan"),
        "Fan",
        command_topic=commands,
        payload_on="on",
        payload_off="off",
        state_topic=state_topic,
        state_value_template=f"{on}{{{{ None if v is none else 'on' if v else 'off' }}}}",
        preset_modes=["auto"],
        preset_mode_command_topic=commands,
        preset_mode_state_topic=state_topic,
        preset_mode_value_template=f"{mode}{{{{ 'auto' if v == 'auto' else 'None' }}}}",
        **COMMAND,
        **site.available(node.node),
    )


def _siren(site: Site, node: NodeFacts, tones: list[str]) -> Entity:
    sounding = templates.value_of("sounding")
    default = templates.literal("long" if "long" in tones else tones[0])
    return entity(
        "siren",
        ids.thing_id(node.node, "buzzer"),
        "Buzzer",
        command_topic=command_topic(node.node, "buzzer"),
        available_tones=tones,
        command_template=f"{{{{ tone if tone is defined and tone else {default} }}}}",
        command_off_template="off",
        state_topic=topic(node.node, TopicKind.BUZZER),
        state_value_template=f"{sounding}{{{{ 'ON' if v else 'OFF' }}}}",
        support_duration=False,
        support_volume_set=False,
        **COMMAND,
        **site.available(node.node),
    )


def _button(site: Site, node: NodeFacts, tone: str) -> Entity:
    return entity(
        "button",
        ids.thing_id(node.node, "buzzer", tone),
        _TONES.get(tone, tone),
        command_topic=command_topic(node.node, "buzzer"),
        payload_press=tone,
        icon="mdi:bullhorn",
        **COMMAND,
        **site.available(node.node),
    )


def _light(site: Site, node: NodeFacts, index: int) -> Entity:
    pixel = _pixel(index)
    config = {
        "schema": "template",
        "state_topic": topic(node.node, TopicKind.LEDS),
        "state_template": f"{pixel}{{{{ 'on' if most else 'off' }}}}",
        # A light that is off keeps the brightness that it had: 0 is ignored.
        "brightness_template": f"{pixel}{{{{ most }}}}",
        "command_topic": command_topic(node.node, "leds"),
        "command_on_template": _turn_on(index),
        "command_off_template": f'{{"index": {index}, "color": "#000000"}}',
    }
    for color, at in (("red", 0), ("green", 1), ("blue", 2)):
        scaled = f"((rgb[{at}] * 255 / most) | round | int) if most else None"
        config[f"{color}_template"] = f"{pixel}{{{{ {scaled} }}}}"
    return entity(
        "light",
        ids.thing_id(node.node, "led", str(index)),
        f"LED {index}",
        **config,
        **COMMAND,
        **site.available(node.node),
    )


def _pixel(index: int) -> str:
    """Return statements that set `rgb` to the colour of an LED, and `most` to its brightness."""
    return (
        f"{templates.value_of('pixels')}"
        f"{{% set p = v[{index}] if v is sequence and v | length > {index} else '#000000' %}}"
        "{% set rgb = [p[1:3] | int(0, 16), p[3:5] | int(0, 16), p[5:7] | int(0, 16)] %}"
        "{% set most = rgb | max %}"
    )


def _turn_on(index: int) -> str:
    """Return the template of an LED's colour: what was not given stays as it is."""
    return (
        "{% set now = this.attributes if this is defined and this else {} %}"
        "{% set rgb = [red, green, blue] if red is defined and red is not none "
        "else (now.rgb_color or [255, 255, 255]) %}"
        "{% set most = brightness if brightness is defined and brightness is not none "
        "else (now.brightness or 255) %}"
        f'{{"index": {index}, "color": "#'
        "{% for part in rgb %}{{ '%02x' | format((part * most / 255) | round | int) }}{% endfor %}"
        '"}'
    )


def _display(site: Site, node: NodeFacts) -> Entity:
    return entity(
        "image",
        ids.thing_id(node.node, "display"),
        "Display",
        image_topic=str(picture_topic(site, node.node)),
        content_type="image/png",
        image_encoding="b64",
        **site.available(node.node),
    )
