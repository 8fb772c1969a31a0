"""Metrics of alarms and notifications."""

from collections.abc import Iterable, Iterator

from hub_app.alarms.engine import Active
from hub_app.alarms.notifier import AddressStatus
from hub_app.http.formats.prometheus import Family, Sample, counter, gauge


def families(active: Iterable[Active], addresses: Iterable[AddressStatus]) -> Iterator[Family]:
    """Yield the families; the series of an alarm ends with it."""
    labels = ("node", "alarm", "rule", "severity")
    is_active = gauge("harvester_alarm_active", "Alarms that are active", *labels)
    acknowledged = gauge(
        "harvester_alarm_acknowledged", "Whether an active alarm is acknowledged", *labels
    )
    for alarm in active:
        values = (alarm.node, alarm.name, alarm.rule, alarm.severity)
        is_active.samples.append(Sample(values, 1))
        acknowledged.samples.append(Sample(values, int(alarm.acknowledged_ms > 0)))
    yield from (is_active, acknowledged)
    yield from _notifications(addresses)


def _notifications(addresses: Iterable[AddressStatus]) -> Iterator[Family]:
    sent = counter("harvester_notification_sent", "Notifications that a service took", "address")
    failed = counter("harvester_notification_failed", "Attempts that failed", "address")
    dropped = counter("harvester_notification_dropped", "Notifications given up", "address")
    waiting = gauge("harvester_notification_waiting", "Notifications to send", "address")
    up = gauge("harvester_notification_up", "Whether the last attempt worked", "address")
    for one in addresses:
        labels = (one.address,)
        sent.samples.append(Sample(labels, one.sent))
        failed.samples.append(Sample(labels, one.failed))
        dropped.samples.append(Sample(labels, one.dropped))
        waiting.samples.append(Sample(labels, one.waiting))
        up.samples.append(Sample(labels, int(not one.fault)))
    yield from (sent, failed, dropped, waiting, up)
