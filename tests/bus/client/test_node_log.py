import logging

from bus.client.node_log import NodeLog
from bus.contract.messages import Log


def test_what_is_logged_while_the_link_is_down_is_sent_in_order_when_it_is_up() -> None:
    sent: list[str] = []
    link_up = False

    def publish(line: Log) -> bool:
        if link_up:
            sent.append(line.message)
        return link_up

    log = NodeLog(publish)
    for text in ("early", "later"):
        log.handle(record(text))
    link_up = True
    log.send_waiting()
    log.handle(record("now"))
    assert sent == ["early", "later", "now"]


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("tests", logging.WARNING, __file__, 1, text, None, None)
