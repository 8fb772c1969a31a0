"""Forwarder: passes the hub's topics on to a broker of Home Assistant's own, and commands back.

Threads: the event loop puts messages in; the forwarder's own thread sends them, a few in flight at
a time; the client's threads call the `Peer`. Only the forwarder's own thread ever waits for the
other broker.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bus.client.client import BusClient
from bus.client.connection import OnMessage
from bus.client.credentials import Connection
from bus.client.link import WireMessage, wire_message
from bus.config import broker_url
from bus.config.homeassistant_table import HomeAssistantConfig
from bus.contract import commands
from bus.contract.topics import Topic, TopicKind
from bus.errors import MisconfiguredError
from bus.fault import Fault
from hub_app.homeassistant.forward import login
from hub_app.homeassistant.forward.outgoing import Outgoing
from hub_app.homeassistant.forward.pacer import Pacer
from hub_app.homeassistant.forward.peer import Peer, PublishHere
from hub_app.homeassistant.forward.rounds import ForwarderTimes, Rounds
from hub_app.homeassistant.forward.status import ForwarderStatus
from hub_app.homeassistant.forward.topics_file import TopicsFile, leftovers
from hub_app.process.supervisor import Supervisor

logger = logging.getLogger(__name__)

_TICK_S = 0.5
_KEEPALIVE_S = 15
_STOP_S = 12.0

RETAINED = frozenset(
    {
        *(TopicKind.STATUS, TopicKind.READING, TopicKind.PLUGIN, TopicKind.SENSOR),
        *(TopicKind.ABOUT, TopicKind.ALARM, TopicKind.LEDS, TopicKind.BUZZER),
        *(TopicKind.FAN, TopicKind.OLED, TopicKind.UPDATE),
    }
)


class Forwarder:
    """The connection to the broker of `settings`; `publish_here` publishes on the hub's own bus.

    `is_bus_up` tells whether that is connected. `state_file` keeps the names of the topics that
    were forwarded. Raises MisconfiguredError where the credentials or the CA cannot be used.
    """

    def __init__(  # noqa: PLR0913 - two brokers, and how to run between them
        self,
        settings: HomeAssistantConfig,
        hub_node: str,
        publish_here: PublishHere,
        *,
        is_bus_up: Callable[[], bool] = lambda: True,
        supervisor: Supervisor | None = None,
        state_file: Path | None = None,
        times: ForwarderTimes | None = None,
    ) -> None:
        self._settings = settings
        self._hub_node = hub_node
        self._supervisor = supervisor or Supervisor()
        self._times = times or ForwarderTimes()
        self._connection = login.connection(settings)
        self._credentials_fault = Fault("homeassistant.credentials_file", level=logging.ERROR)
        self._file = TopicsFile(state_file, settings.broker)
        self._is_bus_up = is_bus_up
        self._outgoing = Outgoing(leftovers(self._file.load(), settings))
        self._peer = Peer(
            hub_node,
            secrets.token_hex(4),
            prefix=settings.prefix,
            outgoing=self._outgoing,
            publish_here=publish_here,
            times=self._times,
        )
        self._stopping = threading.Event()
        self._pacer = Pacer(self._outgoing, self._stopping.wait)
        self._client: BusClient | None = None
        self._thread: threading.Thread | None = None

    @property
    def availability_topic(self) -> str:
        """The topic there of the forwarder's state, which every entity has as availability."""
        return self._peer.guard.topic

    def hear_discovery(self, on_message: OnMessage, on_connect: Callable[[], None]) -> None:
        """Have births and what the broker has of discovery passed on, and each new connection.

        Called before the start; both run on the client's thread.
        """
        self._peer.on_discovery, self._peer.on_connected = on_message, on_connect

    @property
    def status(self) -> ForwarderStatus:
        record, client = self._peer.record, self._client
        is_connected = client is not None and client.connected
        host, port = self._connection.address
        return ForwarderStatus(
            broker=broker_url.make(host, port, tls=self._connection.is_tls),
            connected=is_connected,
            since_ms=record.since_ms if is_connected else 0,
            connections=record.connections,
            last_error=record.last_error,
            last_error_ms=record.last_error_ms,
            forwarded=record.forwarded,
            dropped=self._outgoing.dropped,
            waiting=self._outgoing.waiting,
            topics=self._outgoing.topics,
            commands=self._peer.commands.accepted,
            commands_refused=self._peer.commands.refused,
        )

    def start(self) -> None:
        """Connect in the background and stay connected. Returns at once."""
        self._thread = threading.Thread(target=self._run, name="homeassistant", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye and disconnect; it may wait. Never on the event loop."""
        if self._thread is None:
            return
        self._stopping.set()
        self._peer.wake.set()
        self._thread.join(_STOP_S)
        self._thread = None

    # The event loop runs these.

    def put(self, topic: Topic, payload: bytes) -> None:
        """Take a message of the hub's bus that was found valid; an empty one removes its topic."""
        if topic.kind in RETAINED:
            if self._outgoing.put(str(topic), payload):
                self._peer.wake.set()
        elif topic.kind is TopicKind.EVENT:
            if self._outgoing.put_message(wire_message(topic, payload)):
                self._peer.wake.set()
        elif topic.kind is TopicKind.RESULT:
            self._log_failed_command(topic, payload)

    def publish_wire(self, message: WireMessage) -> int | None:
        """Take a retained message of discovery; return None where there is no connection."""
        if self._client is None or not self._client.connected:
            return None
        if self._outgoing.put_discovery(message.topic, message.payload):
            self._peer.wake.set()
        return 1

    def before(self, handle: Callable[[str, bytes], None]) -> Callable[[str, bytes], None]:
        """Return `handle` for the messages of the hub's bus, without the forwarder's own state."""
        guard = self._peer.guard

        def checked(topic: str, payload: bytes) -> None:
            if not guard.belongs_there(topic):
                handle(topic, payload)
            elif guard.is_probe_there(topic, payload):
                self._peer.stop_for_loop("what is published there arrives at the hub's own broker")

        return checked

    def _log_failed_command(self, topic: Topic, payload: bytes) -> None:
        """Log the answer that Home Assistant does not get."""
        if not self._peer.commands.is_own_id(commands.command_id(payload)):
            return
        result = msgspec.json.decode(payload)
        if not result["ok"]:
            logger.warning(
                "a command of Home Assistant failed: %s of %s: %s",
                *(topic.name, topic.node, result["error"]),
            )

    # The forwarder's own thread runs these.

    def _run(self) -> None:
        self._supervisor.run_here("homeassistant forwarder", self._work, self._stopping.wait)

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._peer.loop, self._peer.is_ending = "", False
            self._serve()
            if self._peer.loop:
                self._stopping.wait(self._times.loop_retry_s)

    def _serve(self) -> None:
        """Stay connected until the forwarder stops, or finds a loop."""
        peer, rounds = self._peer, Rounds(self._times, time.monotonic())
        client = self._client = self._make_client()
        client.start()
        try:
            while not self._stopping.is_set() and not peer.loop:
                peer.wake.wait(self._pacer.pause_s(client, _TICK_S))
                peer.wake.clear()
                peer.record.forwarded += self._pacer.send(client, is_wanted=lambda: not peer.loop)
                self._do_due(client, rounds, time.monotonic())
        finally:
            # A clean end: the broker publishes no will.
            peer.is_ending = True
            client.publish_wire(peer.guard.offline)
            client.stop()
            self._file.save(self._outgoing.retained_there)

    def _do_due(self, client: BusClient, rounds: Rounds, now_s: float) -> None:
        """Do what is due beside sending."""
        peer, outgoing = self._peer, self._outgoing
        peer.commands.sweep()
        if peer.again_at_s is not None and now_s >= peer.again_at_s:
            peer.again_at_s = None
            outgoing.send_again(peer.guard.online)
            peer.wake.set()
        if rounds.are_leftovers_due(now_s, is_bus_up=self._is_bus_up()):
            outgoing.empty_leftovers()
        if rounds.is_file_due(now_s, outgoing.changes):
            self._file.save(outgoing.retained_there)
        if not client.connected:
            self._note_absence(client.problem, rounds.absent_for_s(now_s))
            return
        rounds.present()
        if client.in_flight == 0 and not outgoing.waiting:
            outgoing.settled()
            self._check_access(rounds.unconfirmed_for_s(now_s, is_confirmed=peer.is_confirmed))
        if rounds.is_probe_due(now_s):
            peer.probe()

    def _note_absence(self, problem: str, absent_s: float) -> None:
        if problem or absent_s > self._times.answer_s:
            self._peer.record.failed(problem or "the broker does not answer")

    def _check_access(self, unconfirmed_s: float) -> None:
        """Tell of a broker that takes everything and passes nothing on: a missing access rule."""
        text = (
            f"what is published to {self._peer.guard.run_topic} does not come back: do the "
            "broker's access rules let this account read and write harvester/# and "
            f"{self._settings.prefix}/#?"
        )
        if unconfirmed_s > self._times.answer_s and self._peer.record.failed(text):
            logger.warning("homeassistant.broker: %s", text)

    def _make_client(self) -> BusClient:
        return BusClient(
            self._connection.address,
            others=self._connection.addresses[1:],
            # The same at each start: a broker that still has the connection of a hub that is gone
            # ends it then, and publishes its will before anything of the new one.
            client_id=f"harvester-{self._hub_node}",
            login=self._connection.login,
            relogin=self._read_login_again,
            keepalive_s=_KEEPALIVE_S,
            filters=self._peer.filters,
            on_message=self._peer.on_message,
            on_connect=self._peer.on_connect,
            on_disconnect=self._peer.on_disconnect,
            on_acknowledged=self._peer.on_acknowledged,
            will=self._peer.guard.offline,
        )

    def _read_login_again(self) -> Connection | None:
        """Take a corrected password without a restart; on the client's thread."""
        try:
            self._connection = login.connection(self._settings)
        except MisconfiguredError as e:
            self._credentials_fault.failed(str(e))
            return None
        self._credentials_fault.worked()
        return self._connection
