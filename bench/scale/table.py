"""Tables of the cost model as Markdown, for docs/scale.md. Pure."""

from collections.abc import Iterator, Sequence

from bench.scale.model import Coefficients, Load, Run, fit_hub, load_of, predict, predict_hub, split

# Nodes of a site and sites.
_FLEETS = ((500, 1), (1000, 1), (500, 200), (500, 20_000))
_CYCLE_S = 2.0
_READINGS_PER_CYCLE = 3


def tables(known: Coefficients) -> Iterator[str]:
    """Yield the lines of all tables."""
    yield from _coefficients(known)
    yield ""
    yield from checks(known.probe_us, known.runs)
    yield ""
    yield from _fleets(known)


def _coefficients(known: Coefficients) -> Iterator[str]:
    hub, database = known.hub, known.database
    yield "| CPU of the hub | a reading | an arrival | a batch | `stored` | a heartbeat | no load |"
    yield "|----------------|-----------|------------|---------|----------|-------------|---------|"
    yield (
        f"| | {hub.reading_us:.0f} us | {hub.arrival_us:.0f} us | {hub.batch_us:.0f} us"
        f" | {hub.answer_us:.0f} us | {hub.heartbeat_us:.0f} us | {hub.base_cpu:.3f} cores |"
    )
    yield ""
    yield "| cost | |"
    yield "|------|-|"
    yield f"| memory of the hub | {hub.base_mb:.0f} MB, and {hub.node_kb:.0f} KB a node |"
    yield (
        f"| bytes from the nodes | {hub.reading_up_bytes:.0f} a reading,"
        f" {hub.heartbeat_bytes:.0f} a heartbeat |"
    )
    yield (
        f"| bytes to the nodes | {hub.reading_down_bytes:.1f} a reading,"
        f" {hub.answer_down_bytes:.0f} a `stored` |"
    )
    yield f"| disk of the hub's history | {database.history_bytes:.0f} B a reading |"
    yield f"| CPU of the hub for forwarding | {database.forward_us:.1f} us a reading |"
    yield f"| bytes from the hub to PostgreSQL | {database.forward_bytes:.0f} a reading |"
    yield (
        f"| CPU of PostgreSQL | {database.store_us:.1f} us a reading,"
        f" {database.mean_us:.1f} us a mean |"
    )
    yield f"| write-ahead log of PostgreSQL | {database.wal_bytes:.0f} B a reading |"
    yield (
        f"| disk of PostgreSQL | {database.stored_bytes:.0f} B a reading,"
        f" {database.mean_bytes:.0f} B a mean |"
    )


def checks(probe_us: float, runs: Sequence[Run]) -> Iterator[str]:
    """Yield what the first two sizes say of each run, beside what was measured."""
    fitted, others = split(runs)
    hub = fit_hub(fitted, probe_us)
    yield "| nodes, readings a second, together | cores | MB | kB/s up | kB/s down |"
    yield "|------------------------------------|-------|----|---------|-----------|"
    for run in (*fitted, *others):
        load = load_of(run)
        said = predict_hub(hub, load)
        cells = " | ".join(
            _both(measured, predicted)
            for measured, predicted in (
                (run.cpu, said.cpu * run.probe_us / probe_us),
                (run.rss_mb, said.mb),
                (run.up_bytes_per_s / 1000, said.up_bytes_per_s / 1000),
                (run.down_bytes_per_s / 1000, said.down_bytes_per_s / 1000),
            )
        )
        yield f"| {run.nodes}, {run.readings_per_s:.0f}, {load.together:.0f} | {cells} |"


def _both(measured: float, predicted: float) -> str:
    off = f" ({predicted / measured - 1:+.0%})" if measured else ""
    return f"{measured:.3g} / {predicted:.3g}{off}"


def _fleets(known: Coefficients) -> Iterator[str]:
    columns = (
        "nodes on sites",
        "hub: cores together, apart, MB, GB/day",
        "database: readings/s, cores, MB/s, TB/d",
    )
    yield f"| {' | '.join(columns)} |"
    yield "|---|---|---|"
    for nodes, sites in _FLEETS:
        beats = nodes / _CYCLE_S
        rate = _READINGS_PER_CYCLE * beats
        said = predict(known, Load(nodes, rate, beats, sites, _READINGS_PER_CYCLE))
        cores = said.hub.cpu + said.forward_cpu
        apart = predict_hub(known.hub, Load(nodes, rate, beats)).cpu + said.forward_cpu
        yield (
            f"| {nodes * sites:,} on {sites:,} | {cores:.2f}, {apart:.2f}, {said.hub.mb:.0f},"
            f" {said.history_bytes_per_day / 1e9:.1f} | {said.database_readings_per_s:,.0f},"
            f" {said.database_cpu:.2f}, {said.forward_bytes_per_s * sites / 1e6:.1f},"
            f" {said.database_bytes_per_day / 1e12:.3g} + {said.means_bytes_per_day / 1e12:.3g} |"
        )
