"""Comparison of what nodes took with what the database has: each once, with its true time."""

from pathlib import Path

import msgspec
import psycopg

from bench.sites.node import Sent

# Between the moment of a reading and that of its message.
_TOLERANCE_MS = 1500
_SENT = """
CREATE TABLE sent (site text, node text, stream text, seq bigint, sensor text, at_ms bigint,
    is_redated boolean)
"""
_STORED = """
CREATE TABLE arrived AS SELECT site.name AS site, node.name AS node, stream.name AS stream, r.seq,
    sensor.name AS sensor, harvester.to_ms(r.at) AS at_ms, r.flags
FROM harvester.stored_reading AS r JOIN harvester.stream ON stream.id = r.stream
JOIN harvester.sensor ON sensor.id = r.sensor JOIN harvester.node ON node.id = stream.node
JOIN harvester.site ON site.id = node.site
"""
_KEY = "site, node, stream, seq"
_COUNTS = f"""
SELECT (SELECT count(*) FROM sent), (SELECT count(*) FROM arrived),
    (SELECT count(*) FROM sent LEFT JOIN arrived AS a USING ({_KEY}) WHERE a.seq IS NULL),
    (SELECT count(*) FROM arrived LEFT JOIN sent AS s USING ({_KEY}) WHERE s.seq IS NULL),
    (SELECT count(*) FROM (SELECT FROM arrived GROUP BY {_KEY} HAVING count(*) > 1) AS twice),
    (SELECT count(*) FROM sent WHERE is_redated),
    (SELECT count(*) FROM sent AS s JOIN arrived AS a USING ({_KEY})
        WHERE abs(s.at_ms - a.at_ms) > {_TOLERANCE_MS} OR s.sensor <> a.sensor OR a.flags & 2 <> 0)
"""
_SAMPLES = f"""
SELECT {_KEY}, s.sensor, s.is_redated, s.at_ms AS taken_ms, a.at_ms AS stored_ms, a.flags
FROM sent AS s FULL JOIN arrived AS a USING ({_KEY})
WHERE s.seq IS NULL OR a.seq IS NULL OR abs(s.at_ms - a.at_ms) > {_TOLERANCE_MS} OR a.flags & 2 <> 0
ORDER BY {_KEY} LIMIT 40
"""


class Verdict(msgspec.Struct, frozen=True):
    """Counts of readings. `wrong`: with another time than the true one, or of another sensor."""

    sent: int
    arrived: int
    missing: int
    unknown: int
    twice: int
    redated: int
    wrong: int

    @property
    def is_right(self) -> bool:
        faults = self.missing + self.unknown + self.twice + self.wrong
        return faults == 0 and self.sent == self.arrived

    def __str__(self) -> str:
        return (
            f"sent {self.sent} ({self.redated} with a wrong clock), in the database {self.arrived}:"
            f" {self.missing} missing, {self.twice} twice, {self.unknown} unknown, "
            f"{self.wrong} with a wrong time"
        )


def compare(url: str, sent: dict[str, list[Path]]) -> Verdict:
    """Compare the database with the files of each site."""
    with psycopg.connect(url) as db:
        db.execute(_SENT)
        for site, files in sent.items():
            for path in files:
                _copy(db, site, path)
        db.execute(_STORED)
        db.execute("ANALYZE sent, arrived")
        row = db.execute(_COUNTS.encode()).fetchone()
        assert row is not None
        verdict = Verdict(*row)
        if not verdict.is_right:
            for sample in db.execute(_SAMPLES.encode()):
                print("   ", *sample)
        return verdict


def _copy(db: psycopg.Connection[tuple[object, ...]], site: str, path: Path) -> None:
    with db.cursor() as cursor, cursor.copy("COPY sent FROM STDIN") as copy, path.open() as lines:
        for line in lines:
            copy.write_row((site, *msgspec.structs.astuple(msgspec.json.decode(line, type=Sent))))
