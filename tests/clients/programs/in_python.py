"""One client library of Python: subscribes, publishes at each QoS, and ends when all came back.

Arguments: library, transport (tcp, tls, ws or wss), port, CA or "", topic. It prints the lengths.
"""

import asyncio
import contextlib
import os
import ssl
import sys
from typing import Any

HOST = "127.0.0.1"
MESSAGES = (b"0", b"1", b"x" * 100_000)
TIME_LIMIT_S = 60.0


def of_paho(transport: str, port: int, context: ssl.SSLContext | None, topic: str) -> list[bytes]:
    from paho.mqtt import client as mqtt  # noqa: PLC0415 - each run has one library
    from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415

    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, transport="websockets" if transport in ("ws", "wss") else "tcp"
    )
    client.username_pw_set(os.environ["MQTT_USER"], os.environ["MQTT_PASSWORD"])
    if context is not None:
        client.tls_set_context(context)
    heard: list[bytes] = []

    def on_message(_client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        heard.append(message.payload)
        if len(heard) == len(MESSAGES):
            client.disconnect()

    def on_subscribe(*_: object) -> None:
        for qos, payload in enumerate(MESSAGES):
            client.publish(f"{topic}/a", payload, qos)

    client.on_connect = lambda *_: client.subscribe(f"{topic}/#", 2)
    client.on_subscribe = on_subscribe
    client.on_message = on_message
    client.connect(HOST, port)
    client.loop_forever()
    return heard


async def of_aiomqtt(
    transport: str, port: int, context: ssl.SSLContext | None, topic: str
) -> list[bytes]:
    import aiomqtt  # type: ignore[import-not-found] # noqa: PLC0415

    heard: list[bytes] = []
    async with aiomqtt.Client(
        HOST,
        port,
        username=os.environ["MQTT_USER"],
        password=os.environ["MQTT_PASSWORD"],
        tls_context=context,
        transport="websockets" if transport in ("ws", "wss") else "tcp",
    ) as client:
        await client.subscribe(f"{topic}/#", 2)
        for qos, payload in enumerate(MESSAGES):
            await client.publish(f"{topic}/a", payload, qos)
        async for message in client.messages:
            heard.append(message.payload)
            if len(heard) == len(MESSAGES):
                break
    return heard


async def of_gmqtt(
    _transport: str, port: int, context: ssl.SSLContext | None, topic: str
) -> list[bytes]:
    import gmqtt  # type: ignore[import-not-found] # noqa: PLC0415

    heard: list[bytes] = []
    has_all, is_subscribed = asyncio.Event(), asyncio.Event()

    def on_message(_client: object, _topic: str, payload: bytes, *_: object) -> int:
        heard.append(payload)
        if len(heard) == len(MESSAGES):
            has_all.set()
        return 0

    client: Any = gmqtt.Client("check")
    client.set_auth_credentials(os.environ["MQTT_USER"], os.environ["MQTT_PASSWORD"])
    client.on_message = on_message
    client.on_subscribe = lambda *_: is_subscribed.set()
    await client.connect(HOST, port, ssl=context or False)
    client.subscribe(f"{topic}/#", qos=2)
    await is_subscribed.wait()
    for qos, payload in enumerate(MESSAGES):
        client.publish(f"{topic}/a", payload, qos=qos)
    await has_all.wait()
    # asyncio's TLS reports what crossed its own end on the way.
    with contextlib.suppress(ssl.SSLError):
        await client.disconnect()
    return heard


def main() -> None:
    library, transport, port, ca, topic = sys.argv[1:]
    context = ssl.create_default_context(cafile=ca) if ca else None
    if library == "paho":
        heard = of_paho(transport, int(port), context, topic)
    else:
        run = {"aiomqtt": of_aiomqtt, "gmqtt": of_gmqtt}[library]
        found = run(transport, int(port), context, topic)
        heard = asyncio.run(asyncio.wait_for(found, TIME_LIMIT_S))
    sys.stdout.write(" ".join(str(len(payload)) for payload in sorted(heard)))


if __name__ == "__main__":
    main()
