"""The table of operations: every route below `/api`, `/events`, `/health` and `/metrics`."""

from bus.config.alarms_table import AlarmConfig
from hub_app.alarms import routes as alarms
from hub_app.history.coverage.coverage import Coverage
from hub_app.http import login, metrics, sse, status
from hub_app.http.api import commands, export, history, logs, nodes, oled, openapi, readings
from hub_app.http.api.history_answers import Chart, FieldHistory
from hub_app.http.api.operation import Answer, Body, Operation, json
from hub_app.http.formats import prometheus
from hub_app.http.formats.export_rows import ExportRow
from hub_app.http.formats.query_params import FROM, FROM_30_DAYS, FROM_ANY, TO
from hub_app.http.views.system import bundle
from hub_app.http.views.system import view as system
from hub_app.http.views.system.report import SystemReport
from hub_app.nodes.delivery import routes as deliveries
from hub_app.nodes.join import code_routes as join
from hub_app.nodes.join.codes import NodeWish
from hub_app.nodes.records import routes as records
from hub_app.nodes.removal import routes as removal
from hub_app.nodes.update import routes as updates

_NODE, _SENSOR = "pi4", "dht22-gpio4"
_COMMAND_ERRORS = (400, 404, 413, 502, 503, 504)

LIVE = (
    Operation(
        method="GET",
        path="/api/readings",
        endpoint=readings.readings,
        summary="Newest reading of every sensor",
        group="live",
        answers=json(readings.Readings),
        parameters=(readings.SENSOR,),
        errors=(404,),
    ),
    Operation(
        method="GET",
        path="/api/sensors",
        endpoint=readings.sensors,
        summary="Meaning of the values of every sensor",
        group="live",
        answers=json(readings.Sensors),
    ),
    Operation(
        method="GET",
        path="/api/nodes",
        endpoint=nodes.nodes,
        summary="State of every node",
        group="live",
        answers=json(nodes.Nodes),
    ),
    Operation(
        method="GET",
        path="/api/nodes/{node}/oled.png",
        endpoint=oled.oled,
        summary="Picture on a node's display",
        group="live",
        answers={
            200: Answer(media={"image/png": bytes}),
            304: Answer(about="The picture that If-None-Match names is still on the display"),
        },
        errors=(404,),
    ),
    Operation(
        method="GET",
        path="/api/nodes/{node}/plugins/{plugin}/record",
        endpoint=records.record,
        summary="Newest record of a plugin, for `harvester plugins replay`",
        group="live",
        answers={200: Answer(media={records.MEDIA_TYPE: bytes})},
        errors=(404,),
    ),
    Operation(
        method="GET",
        path="/events",
        endpoint=sse.events,
        summary="Snapshot and all changes, as server-sent events",
        group="live",
        answers={200: Answer(media={"text/event-stream": str})},
        parameters=sse.PARAMETERS,
        errors=(400,),
    ),
    Operation(
        method="GET",
        path="/api/logs",
        endpoint=logs.logs,
        summary="Log lines of all nodes, in pages, newest last",
        group="live",
        answers=json(logs.LogPage),
        parameters=(
            *(logs.NODE, logs.LEVEL, logs.SOURCE, logs.TEXT, FROM_ANY, TO),
            *(logs.BEFORE, logs.LIMIT),
        ),
        errors=(400, 404, 503),
    ),
)

HISTORY = (
    Operation(
        method="GET",
        path="/api/history",
        endpoint=history.history,
        summary="Values of a sensor over time: of one field, or of several for a chart",
        group="history",
        answers={200: Answer((Chart, FieldHistory), {"text/csv": str})},
        parameters=(
            *(history.SENSOR, history.FIELD, FROM, TO, history.WIDTH, history.POINTS),
            *(history.FORMAT, history.TIMES, history.MISSING),
        ),
        errors=(400, 404, 503),
    ),
    Operation(
        method="GET",
        path="/api/coverage",
        endpoint=history.coverage,
        summary="Which samples of a node are stored, and why others are not; at most 7 days",
        group="history",
        answers=json(Coverage),
        parameters=(history.NODE, FROM, TO),
        errors=(400, 404, 503),
    ),
    Operation(
        method="GET",
        path="/api/export",
        endpoint=export.export,
        summary="All stored values of a range, as a stream of any length",
        group="history",
        answers={200: Answer((list[ExportRow],), export.MEDIA_TYPES)},
        parameters=(export.FORMAT, export.SENSOR, export.FIELD, FROM, TO),
        errors=(400, 404, 501, 503),
    ),
)

ALARMS = (
    Operation(
        method="GET",
        path="/api/alarms",
        endpoint=alarms.alarms,
        summary="Active alarms, and past ones in pages, newest first",
        group="alarms",
        answers=json(alarms.Alarms),
        parameters=(alarms.NODE, FROM_30_DAYS, TO, alarms.BEFORE, alarms.LIMIT),
        errors=(400, 503),
    ),
    Operation(
        method="GET",
        path="/api/alarms/rules",
        endpoint=alarms.rules,
        summary="Every rule as it holds",
        group="alarms",
        answers=json(alarms.Rules),
    ),
    Operation(
        method="POST",
        path="/api/alarms/rules",
        endpoint=alarms.add_rule,
        summary="Add a rule, or replace one of the page or a built-in one",
        group="alarms",
        answers=json(alarms.RuleAdded),
        body=Body(AlarmConfig, {"name": "too-warm", "field": "temperature", "above": 30}),
        errors=(400, 409, 413, 503),
    ),
    Operation(
        method="DELETE",
        path="/api/alarms/rules/{name}",
        endpoint=alarms.delete_rule,
        summary="Delete a rule that was added over HTTP",
        group="alarms",
        answers=json(alarms.RuleDeleted),
        errors=(404, 409, 503),
    ),
    Operation(
        method="POST",
        path="/api/alarms/{node}/{alarm}/ack",
        endpoint=alarms.acknowledge,
        summary="Acknowledge an active alarm",
        group="alarms",
        answers=json(alarms.Acknowledged),
        errors=(404, 503),
    ),
    Operation(
        method="POST",
        path="/api/alarms/{node}/{alarm}/mute",
        endpoint=alarms.mute,
        summary="Send no notification of an active alarm for some minutes; 0 ends it",
        group="alarms",
        answers=json(alarms.Muted),
        body=Body(alarms.MuteBody, {"minutes": 60}),
        errors=(400, 404, 413, 503),
    ),
)

COMMANDS = (
    Operation(
        method="POST",
        path="/api/buzzer",
        endpoint=commands.buzzer,
        summary="Sound the buzzer",
        group="commands",
        answers=json(commands.CommandDone),
        parameters=(commands.ACTION, commands.NODE),
        body=Body(commands.BuzzerBody, {"node": _NODE, "pattern": "beep3"}, is_required=False),
        errors=_COMMAND_ERRORS,
    ),
    Operation(
        method="POST",
        path="/api/buzzer/test",
        endpoint=commands.buzzer_test,
        summary="Beep once, at the first node that has a buzzer",
        group="commands",
        answers=json(commands.CommandDone),
        errors=_COMMAND_ERRORS,
    ),
    Operation(
        method="POST",
        path="/api/leds",
        endpoint=commands.leds,
        summary="Colour one LED or all of them",
        group="commands",
        answers=json(commands.CommandDone),
        body=Body(commands.LedsBody, {"node": _NODE, "all": "#ff8800"}),
        errors=_COMMAND_ERRORS,
    ),
    Operation(
        method="POST",
        path="/api/fan",
        endpoint=commands.fan,
        summary="Switch the fan",
        group="commands",
        answers=json(commands.CommandDone),
        body=Body(commands.FanBody, {"node": _NODE, "mode": "auto"}),
        errors=_COMMAND_ERRORS,
    ),
    Operation(
        method="POST",
        path="/api/plugins",
        endpoint=commands.plugins,
        summary="Reload, enable, disable or set a plugin",
        group="commands",
        answers=json(commands.CommandDone),
        body=Body(commands.PluginBody, {"node": _NODE, "plugin": "dht22", "action": "reload"}),
        errors=_COMMAND_ERRORS,
    ),
    Operation(
        method="POST",
        path="/api/names",
        endpoint=commands.names,
        summary="Name a sensor or a node, and its area",
        group="commands",
        answers=json(commands.CommandDone),
        body=Body(commands.NamesBody, {"node": _NODE, "sensor": _SENSOR, "title": "Desk"}),
        errors=_COMMAND_ERRORS,
    ),
    Operation(
        method="POST",
        path="/api/nodes/{node}/remove",
        endpoint=removal.remove_node,
        summary="Remove a node, and with `history` what is stored",
        group="commands",
        answers=json(removal.NodeRemoved),
        body=Body(removal.RemoveBody, {"history": False}),
        errors=(400, 413, 503),
    ),
    Operation(
        method="POST",
        path="/api/nodes/{node}/rename",
        endpoint=removal.rename_node,
        summary="Give a node and its history another name",
        group="commands",
        answers=json(removal.NodeRenamed),
        body=Body(removal.RenameBody, {"to": "garden"}),
        errors=(400, 413, 503),
    ),
    Operation(
        method="POST",
        path="/api/sensors/{sensor}/remove",
        endpoint=removal.remove_sensor,
        summary="Remove a sensor, and with `history` what is stored",
        group="commands",
        answers=json(removal.SensorRemoved),
        body=Body(removal.RemoveBody, {"history": False}),
        errors=(400, 413, 503),
    ),
)

JOIN = (
    Operation(
        method="GET",
        path="/api/join-codes",
        endpoint=join.join_codes,
        summary="Machines that are joining, and how far they are",
        group="join",
        answers=json(join.JoinCodes),
        errors=(503,),
    ),
    Operation(
        method="POST",
        path="/api/join-codes",
        endpoint=join.make_join_code,
        summary="Make the line that makes a new machine a node; it is shown once",
        group="join",
        answers=json(join.JoinCodeMade),
        body=Body(NodeWish, {"node": _NODE, "replace": False, "area": "Garden"}),
        errors=(400, 413, 503),
    ),
    Operation(
        method="DELETE",
        path="/api/join-codes/{node}",
        endpoint=join.revoke_join_code,
        summary="Revoke the code for a node",
        group="join",
        answers=json(join.JoinCodeRevoked),
        errors=(404, 503),
    ),
)

UPDATES = (
    Operation(
        method="GET",
        path="/api/updates",
        endpoint=updates.updates,
        summary="The last round of node updates",
        group="hub",
        answers=json(updates.Updates),
        errors=(503,),
    ),
    Operation(
        method="POST",
        path="/api/updates",
        endpoint=updates.start_updates,
        summary="Update nodes to the hub's version, one after the other; the canary first",
        group="commands",
        answers=json(updates.Updates),
        body=Body(updates.UpdateBody, {"nodes": [_NODE], "canary": _NODE}),
        errors=(400, 413, 503),
    ),
)

DELIVERIES = (
    Operation(
        method="GET",
        path="/api/deliveries",
        endpoint=deliveries.versions,
        summary="Versions of plugins, wanted and running at each node, and the last rollouts",
        group="hub",
        answers=json(deliveries.Versions),
        errors=(503,),
    ),
    Operation(
        method="POST",
        path="/api/deliveries",
        endpoint=deliveries.deploy,
        summary="Deploy a bundle of a plugin to nodes; the canary first",
        group="commands",
        answers=json(deliveries.Versions),
        body=Body(deliveries.DeployBody, deliveries.EXAMPLE),
        errors=(400, 413, 503),
    ),
    Operation(
        method="POST",
        path="/api/deliveries/promote",
        endpoint=deliveries.promote,
        summary="Deploy the version of a plugin that is in the shadow at nodes",
        group="commands",
        answers=json(deliveries.Versions),
        body=Body(deliveries.Where, {"plugin": "dht22", "nodes": [_NODE]}),
        errors=(400, 413, 503),
    ),
    Operation(
        method="POST",
        path="/api/deliveries/rollback",
        endpoint=deliveries.roll_back,
        summary="Bring the version before of a plugin back to nodes",
        group="commands",
        answers=json(deliveries.Versions),
        body=Body(deliveries.Where, {"plugin": "dht22", "nodes": [_NODE]}),
        errors=(400, 413, 503),
    ),
)

HUB = (
    Operation(
        method="GET",
        path="/api/session",
        endpoint=login.session,
        summary="Name and role of whoever asks",
        group="hub",
        answers=json(login.Session),
    ),
    Operation(
        method="GET",
        path="/api/system",
        endpoint=system.report,
        summary="State of broker and hub",
        group="hub",
        answers=json(SystemReport),
    ),
    Operation(
        method="GET",
        path="/api/support-bundle",
        endpoint=bundle.support_bundle,
        summary="A zip for whoever helps; for operators",
        group="hub",
        answers={200: Answer(media={"application/zip": bytes})},
        errors=(404, 503),
    ),
    Operation(
        method="GET",
        path="/api/broker",
        endpoint=status.broker,
        summary="Address, limits and counters of the broker",
        group="hub",
        answers=json(status.EmbeddedBroker, status.ExternalBroker),
    ),
    Operation(
        method="GET",
        path="/api/openapi.json",
        endpoint=openapi.openapi,
        summary="This document",
        group="hub",
        answers=json(dict),
    ),
    Operation(
        method="GET",
        path="/health",
        endpoint=status.health,
        summary="Whether the hub works; the counters are for those who are logged in",
        group="hub",
        answers={
            200: Answer((status.Health,), about="The hub is connected to the broker"),
            503: Answer((status.Health,), about="The hub is not connected to the broker"),
        },
        is_open=True,
    ),
    Operation(
        method="GET",
        path="/metrics",
        endpoint=metrics.metrics,
        summary="Every number of the hub, for Prometheus",
        group="hub",
        answers={200: Answer(media={prometheus.CONTENT_TYPE: str})},
    ),
)

OPERATIONS = (*LIVE, *HISTORY, *ALARMS, *COMMANDS, *JOIN, *UPDATES, *DELIVERIES, *HUB)
