"""`GET /system` and `GET /api/system`: broker and hub, as a page and as JSON."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from broker.embedded.statistics import BrokerSnapshot
from bus.clock import DAY_MS
from bus.config.settings import Config
from bus.contract.value_text import duration
from bus.files.backup_record import BackupRecord
from hub_app.homeassistant.forward.status import ForwarderStatus
from hub_app.http.responses import Json, hub_of, url_of
from hub_app.http.views.moments import moment
from hub_app.http.views.shell import may_command, view_response
from hub_app.http.views.system import deliveries, updates
from hub_app.http.views.system.report import FileSize, SystemReport, SystemReporter
from hub_app.http.views.template import Html, attributes, fill, fill_file, join

PATH = "/system"
_FACT = "<dt>$label</dt><dd>$value</dd>\n"
_LOAD = (
    '<tr><th scope="row">$name</th><td class="number">$one</td><td class="number">$five</td>'
    '<td class="number">$fifteen</td></tr>\n'
)
_QUOTA = """<li data-tone="$tone">$who: $quota <meter min="0" max="$limit" value="$used" \
aria-label="$quota of $who"></meter> <span>$used of $limit</span></li>
"""
_END = 'until $end <span data-tone="$tone"><span class="band">$left</span></span>'
_NO_BACKUP = "none yet; <code>harvester backup</code> makes one"
_LAST_BACKUP = "$at, $size"
_NO_CERTIFICATE = "none yet; <code>harvester tls init</code> makes it"
# Quotas whose key says too little.
_QUOTA_LABELS = {
    "disk_percent": "disk, in %",
    "history.log_mb": "log lines, in MB",
    "history_mb_per_day": "history of today, in MB",
    "live_kb": "newest values, in KB",
    "broker.retained_mb": "retained messages, in MB",
    "broker.retained_messages": "retained messages",
    "broker.queued_mb": "queued messages, in MB",
    "broker.connections": "clients of the broker",
    "broker.sessions": "sessions of the broker",
}
_WARN_DAYS = 30
_FAULT = '<li class="fault">$text</li>\n'
_BUNDLE = '<p><a class="button" href="$href" download>Support bundle</a> <span class="quiet">\
a zip of configuration without secrets, logs, figures and the findings of doctor</span></p>'
# Averages a minute that are shown a second, with their labels.
_LOADS = {
    "publish/received": "messages in, a second",
    "publish/sent": "messages out, a second",
    "publish/dropped": "messages dropped, a second",
    "bytes/received": "kB in, a second",
    "bytes/sent": "kB out, a second",
    "connections": "connections, a minute",
}


async def system(request: Request) -> Response:
    found = await _reporter(request).report()
    config: Config | None = request.app.state.config
    operates = may_command(request)
    main = fill_file(
        "system/system.html",
        faults=join([fill(_FAULT, text=text) for text in found.faults]),
        hub=_facts(_hub_facts(found)),
        updates=await updates.panel(hub_of(request), request.app.state.updater, operates=operates),
        has_no_updater=attributes(hidden=request.app.state.updater is None),
        deliveries=await deliveries.panel(request.app.state.deliverer, operates=operates),
        deploy=await deliveries.form(request.app.state.deliverer, operates=operates),
        has_no_deliverer=attributes(hidden=request.app.state.deliverer is None),
        certificates=_facts(
            _certificate_facts(
                found,
                hub_of(request).now_ms(),
                is_https=config is not None and config.web.tls,
            )
        ),
        versions=_facts(found.versions),
        broker=_facts(_broker_facts(found)),
        loads=_loads(found.broker),
        has_no_loads=attributes(hidden=found.broker is None),
        refused=_facts(_refused(found)),
        has_refused=attributes(hidden=bool(_refused(found))),
        storage=_facts(_storage_facts(found)),
        quotas=_quotas(found),
        homeassistant=_facts(_forwarder_facts(found.homeassistant)),
        has_no_forwarder=attributes(hidden=found.homeassistant is None),
        has_near=attributes(hidden=bool(found.near_quotas)),
        bundle=fill(_BUNDLE, href=url_of(request, "/api/support-bundle")) if operates else "",
        joins=fill_file("system/joins.html") if operates else "",
    )
    dialogs = fill_file("system/join.html") if operates else Html("")
    return view_response(request, "system", "Broker and hub", main, dialogs)


async def report(request: Request) -> Response:
    return Json(await _reporter(request).report())


def _reporter(request: Request) -> SystemReporter:
    reporter: SystemReporter = request.app.state.reporter
    return reporter


def _facts(facts: Mapping[str, object]) -> Html:
    return join([fill(_FACT, label=label, value=value) for label, value in facts.items()])


def _hub_facts(found: SystemReport) -> dict[str, object]:
    restarts = sum(task.restarts for task in found.tasks)
    return {
        "Runs for": duration(found.uptime_s),
        "Nodes": found.nodes,
        "Browsers": found.browsers,
        "Tasks": f"{len(found.tasks)}, {restarts} restarts",
    }


def _certificate_facts(found: SystemReport, now_ms: int, *, is_https: bool) -> dict[str, object]:
    facts: dict[str, object] = {"Page": "HTTPS" if is_https else "plain HTTP"}
    if found.certificate_ends_ms is None:
        return facts | {"Certificate": fill(_NO_CERTIFICATE)}
    used_by = "broker and page" if is_https else "broker"
    return facts | {
        f"Of {used_by}": certificate_end(found.certificate_ends_ms, now_ms),
        "Of the CA": certificate_end(found.ca_ends_ms, now_ms),
    }


def certificate_end(ends_ms: int | None, now_ms: int) -> Html:
    """Return until when a certificate is valid, and the days that are left."""
    if ends_ms is None:
        return moment(0)
    days = (ends_ms - now_ms) / DAY_MS
    tone = "good" if days > _WARN_DAYS else "warm" if days > 0 else "bad"
    left = f"{days:.0f} days left" if days > 0 else "over"
    return fill(_END, end=moment(ends_ms), tone=tone, left=left)


def _broker_facts(found: SystemReport) -> dict[str, object]:
    facts: dict[str, object] = {
        "Address": found.broker_address,
        "Hub": "connected" if found.bus_connected else "not connected",
    }
    broker = found.broker
    if broker is None:
        return facts | {"Kind": "another program, which has figures of its own"}
    clients, stored = broker.clients, broker.stored
    return facts | {
        "Runs for": duration(broker.uptime_s),
        "Clients": f"{clients.connected} connected, {clients.maximum} at most so far",
        "Sessions kept": stored.sessions,
        "Subscriptions": broker.subscriptions,
        "Retained": f"{stored.retained_messages} messages, {size(stored.retained_bytes)}",
        "Queued": f"{stored.queued_messages} messages, {size(stored.queued_bytes)}",
        "In flight": broker.messages.in_flight,
        "Messages": f"{broker.publish.received} in, {broker.publish.sent} out",
        "Traffic": f"{size(broker.bytes.received)} in, {size(broker.bytes.sent)} out",
    }


def _loads(broker: BrokerSnapshot | None) -> Html:
    if broker is None:
        return Html("")
    rows = []
    for name, label in _LOADS.items():
        averages, divisor = broker.load[name], 1.0
        if "second" in label:
            divisor = 60_000.0 if name.startswith("bytes") else 60.0
        shown = {
            key: f"{getattr(averages, key) / divisor:.1f}" for key in averages.__struct_fields__
        }
        rows.append(fill(_LOAD, name=label, **shown))
    return join(rows)


def _refused(found: SystemReport) -> dict[str, object]:
    """Return the counts by reason: of the broker, then of each node."""
    broker = found.broker.refused if found.broker else {}
    facts: dict[str, object] = {f"broker: {why}": count for why, count in broker.items() if count}
    for node, counts in sorted(found.refused.items()):
        facts |= {f"{node}: {why}": count for why, count in counts.items()}
    return facts


def _storage_facts(found: SystemReport) -> dict[str, object]:
    facts: dict[str, object] = {
        "History": _grown(found.history_file),
        "Readings stored": f"{found.history.stored} since the start",
        "Readings a second": f"{found.history.stored / max(1.0, found.uptime_s):.1f}",
        "Readings refused": found.history.refused,
    }
    if found.log_file is not None:
        facts["Log"] = f"{_grown(found.log_file)}; bound {size(found.log_most_bytes)}"
        facts["Log lines"] = f"{found.logs.stored} stored, {found.logs.dropped} dropped"
    if found.disk_percent is not None:
        facts["Disk"] = f"{found.disk_percent:.0f} % used"
    return facts | _backup_facts(found.backup)


def _backup_facts(found: BackupRecord) -> dict[str, object]:
    facts: dict[str, object] = {"Backup": fill(_NO_BACKUP)}
    if found.last_ms:
        facts["Backup"] = fill(_LAST_BACKUP, at=moment(found.last_ms), size=size(found.last_bytes))
    if found.nightly_since_ms:
        facts["Nightly backup"] = moment(found.nightly_ms)
    if found.fault:
        facts["Backup failed"] = found.fault
    return facts


def _forwarder_facts(found: ForwarderStatus | None) -> dict[str, object]:
    if found is None:
        return {}
    facts: dict[str, object] = {
        "Broker": found.broker,
        "Connected": moment(found.since_ms) if found.connected else "no",
        "Forwarded": f"{found.forwarded} messages, {found.waiting} to send",
        "Topics": found.topics,
        "Dropped": found.dropped,
        "Commands": f"{found.commands} passed on, {found.commands_refused} refused",
    }
    if found.last_error:
        facts |= {"Last error": found.last_error, "Error at": moment(found.last_error_ms)}
    return facts


def _grown(file: FileSize) -> str:
    if file.bytes_per_day is None:
        return size(file.bytes)
    return f"{size(file.bytes)}, {size(file.bytes_per_day)} more a day"


def size(count: float) -> str:
    """Return bytes in the unit that fits."""
    for unit in ("B", "kB", "MB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _quotas(found: SystemReport) -> Html:
    return join(
        [
            fill(
                _QUOTA,
                tone="bad" if use.used >= use.limit else "warm",
                who=use.node or "hub",
                quota=_QUOTA_LABELS.get(use.quota, use.quota),
                used=f"{use.used:.0f}",
                limit=f"{use.limit:.0f}",
            )
            for use in found.near_quotas
        ]
    )
