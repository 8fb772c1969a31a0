"""Feed of events and alarms, from the history to the fleet's database."""

from hub_app.fleet.forward.database import FleetDatabase, Mark
from hub_app.fleet.forward.history_source import AlarmRow, HistorySource

_MOST = 1000
# Node, alarm and begin.
_Key = tuple[str, str, int]


class RecordFeed:
    """Forwards new rows by their ids, and what changes of alarms until they are over.

    Where the row at a mark is not the one that was forwarded (the history was restored, or is
    another one), all rows are compared. Raises sqlite3.Error, FleetUnavailableError.
    """

    def __init__(self, source: HistorySource, database: FleetDatabase) -> None:
        self._source = source
        self._database = database
        self._open: dict[_Key, AlarmRow | None] = dict.fromkeys(database.open_alarms())

    def forward(self) -> bool:
        """Forward some rows; return whether there may be more."""
        has_more = self._forward_events()
        return self._forward_alarms() or has_more

    def _forward_events(self) -> bool:
        mark = self._database.marks["event_mark"]
        row = self._source.event(mark.id) if mark.id else None
        is_same = row is not None and (row.node, row.at_ms) == (mark.node, mark.at_ms)
        events = self._source.events_after(mark.id if is_same else 0, _MOST)
        if events:
            last = events[-1]
            self._database.store_events(events, Mark(last.id, last.node, last.at_ms))
        return len(events) == _MOST

    def _forward_alarms(self) -> bool:
        mark = self._database.marks["alarm_mark"]
        last = self._source.alarms_after(mark.id - 1, 1) if mark.id else []
        is_same = bool(last) and (last[0].id, last[0].node, last[0].begin_ms) == (
            *(mark.id, mark.node, mark.at_ms),
        )
        new = self._source.alarms_after(mark.id if is_same else 0, _MOST)
        changed = [*self._changed(), *new]
        if changed:
            if new:
                mark = Mark(new[-1].id, new[-1].node, new[-1].begin_ms)
            self._database.store_alarms(changed, mark)
        for alarm in changed:
            self._note(alarm)
        return len(new) == _MOST

    def _changed(self) -> list[AlarmRow]:
        changed = []
        for key, sent in list(self._open.items()):
            alarm = self._source.alarm(*key)
            if alarm is None:
                self._database.end_alarm(*key)
                del self._open[key]
            elif alarm != sent:
                changed.append(alarm)
        return changed

    def _note(self, alarm: AlarmRow) -> None:
        key = (alarm.node, alarm.name, alarm.begin_ms)
        if alarm.end_ms is None:
            self._open[key] = alarm
        else:
            self._open.pop(key, None)
