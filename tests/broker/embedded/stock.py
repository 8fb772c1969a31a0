"""Stock amqtt, with a gate behind its plugins."""

import asyncio
import contextlib
import logging

from amqtt.broker import Broker
from amqtt.contexts import Action, BaseContext, BrokerConfig, ListenerConfig
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from broker.auth.gate import Attempt, Gate, Identity
from tests.support import HOST

_STOP_S = 3.0
# One broker at a time in a test process.
_gates: list[Gate] = []
_here = __name__


class GateAuth(BaseAuthPlugin):
    async def authenticate(self, *, session: Session) -> bool | None:
        identity = await _gates[-1].authenticate(
            Attempt(
                client_id=session.client_id or "",
                username=session.username,
                password=None if session.password is None else session.password.encode(),
                address=str(session.remote_address),
                is_local=True,
            )
        )
        session.attributes["identity"] = identity
        return identity is not None


class GateTopics(BaseTopicPlugin):
    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self._ask = {
            Action.PUBLISH: _gates[-1].may_publish,
            Action.SUBSCRIBE: _gates[-1].may_subscribe,
            Action.RECEIVE: _gates[-1].may_receive,
        }

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,
        topic: str | None = None,
        action: Action | None = None,
    ) -> bool | None:
        # As any plugin does that looks something up.
        await asyncio.sleep(0)
        identity = session.attributes.get("identity") if session else None
        if action is None or not isinstance(identity, Identity):
            return True
        return self._ask[action](identity, topic or "")


class StockBroker:
    """Started and stopped like ours."""

    def __init__(self, port: int, gate: Gate, connections: int = -1) -> None:
        self._connections = connections
        self._port = port
        self._gate = gate
        self._broker: Broker | None = None

    @property
    def sessions(self) -> int:
        assert self._broker is not None
        return len(self._broker.sessions)

    @property
    def filters(self) -> int:
        assert self._broker is not None
        return len(self._broker.subscriptions)

    async def start(self) -> None:
        logging.getLogger("amqtt").setLevel(logging.ERROR)
        _gates.append(self._gate)
        listener = ListenerConfig(bind=f"{HOST}:{self._port}", max_connections=self._connections)
        config = BrokerConfig(
            listeners={"default": listener},
            plugins={f"{_here}.GateAuth": {}, f"{_here}.GateTopics": {}},
        )
        self._broker = Broker(config, asyncio.get_running_loop())
        await self._broker.start()

    async def stop(self) -> None:
        assert self._broker is not None
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._broker.shutdown(), _STOP_S)
        _gates.pop()
