"""Many hubs that forward to one PostgreSQL: faults, then a count of what arrived.

    python -m bench.sites --hubs 4 --nodes 500 --seconds 600 --cut 300 --backlog 1800

Each hub has virtual nodes with an outbox, a tenth of them with a wrong clock until some time. The
link of the first site is cut for `--cut` seconds by a firewall, which tells nobody. The history of
the second begins with `--backlog` readings of each node, as after a longer cut. The database is
killed twice, hubs are killed, and a link is reset. At the end the readings that the nodes took are
compared with those in the database: each once, with its true time. Exit code 1 where they differ.
"""

import argparse
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.fleet_database import server_cpu_s
from bench.sites import check
from bench.sites.site import Site, SiteSetup, running
from tests.hub_app.fleet.postgres import PostgresServer, programs
from tests.support import HOST, free_port

_LOOK_S = 2.0
_TELL_S = 15.0
_DATABASE_AWAY_S = 8.0
_RESET_S = 10.0
# Without progress for so long, what is missing will not come.
_PATIENCE_S = 300.0


class Fault(msgspec.Struct, frozen=True):
    """An action at a moment of the run, in seconds after its begin."""

    at_s: float
    name: str
    action: Callable[[], None]


def faults(server: PostgresServer, sites: list[Site], seconds: float, cut_s: float) -> list[Fault]:
    """Return the faults of a run in the order of their times."""
    cut, backlog, *_ = [*sites, *sites]
    killed = sites[2 % len(sites)]
    last = sites[-1]
    cut_at_s = 0.1 * seconds
    found = [
        Fault(cut_at_s, f"packets of {cut.name} are dropped", cut.link.drop),
        Fault(cut_at_s + cut_s, f"packets of {cut.name} pass again", cut.link.heal),
        Fault(0.25 * seconds, "kill -9 of the database", server.kill),
        Fault(0.25 * seconds + _DATABASE_AWAY_S, "the database starts", server.start),
        Fault(0.4 * seconds, f"kill -9 of the hub {killed.name}", killed.kill),
        Fault(0.4 * seconds + 1, f"the hub {killed.name} starts", killed.start),
        Fault(0.45 * seconds, f"kill -9 of the hub {cut.name}", cut.kill),
        Fault(0.45 * seconds + 1, f"the hub {cut.name} starts", cut.start),
        Fault(0.6 * seconds, f"the link of {last.name} is reset", last.link.cut),
        Fault(0.6 * seconds + _RESET_S, f"the link of {last.name} works again", last.link.heal),
        Fault(0.8 * seconds, "kill -9 of the database", server.kill),
        Fault(0.8 * seconds + 1, f"kill -9 of the hub {backlog.name}", backlog.kill),
        Fault(0.8 * seconds + 2, f"the hub {backlog.name} starts", backlog.start),
        Fault(0.8 * seconds + _DATABASE_AWAY_S, "the database starts", server.start),
    ]
    return sorted(found, key=lambda fault: fault.at_s)


class Run:
    """A run of all sites: plays the faults, tells how it goes, and waits for the end."""

    def __init__(self, server: PostgresServer, sites: list[Site]) -> None:
        self._server = server
        self._sites = sites
        self._began_s = time.monotonic()
        self._told_s = 0.0

    @property
    def _at_s(self) -> float:
        return time.monotonic() - self._began_s

    def play(self, faults: list[Fault]) -> None:
        for fault in faults:
            while self._at_s < fault.at_s:
                self._wait()
            print(f"{self._at_s:6.0f} s  {fault.name}", flush=True)
            fault.action()

    def wait_for_nodes(self) -> None:
        while not all(site.is_done for site in self._sites):
            self._wait()

    def wait_for_forwarders(self) -> None:
        """Wait until nothing waits at any hub, or nothing has been forwarded for some minutes."""
        since_s, quiet = time.monotonic(), 0
        before: object = None
        while quiet < 3 and time.monotonic() - since_s < _PATIENCE_S:
            states = [site.forwarding() for site in self._sites]
            waits = [state.get("waiting") for state in states]
            found = [waits, [state.get("redated") for state in states]]
            if found != before:
                since_s = time.monotonic()
            # It is counted every 10 seconds; a time may be repaired after that.
            quiet = quiet + 1 if waits == [0] * len(waits) and found == before else 0
            before = found
            for _ in range(6):
                self._wait()

    def _wait(self) -> None:
        if self._at_s - self._told_s >= _TELL_S:
            self._told_s = self._at_s
            self.tell()
        time.sleep(_LOOK_S)

    def tell(self) -> None:
        for site in self._sites:
            state, progress = site.forwarding(), site.progress()
            taken = f"{progress.created} taken, {progress.stored} stored" if progress else "begins"
            print(
                f"{self._at_s:6.0f} s  {site.name}: {taken}, "
                f"{state.get('forwarded', '-')} forwarded, {state.get('waiting', '-')} wait, "
                f"{state.get('redated', '-')} redated; hub {site.cpu_s:.0f} s of CPU, "
                f"{site.rss_mb:.0f} MB",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hubs", type=int, default=4)
    parser.add_argument("--nodes", type=int, default=500, help="of each hub")
    parser.add_argument("--interval", type=float, default=2.0)
    parser.add_argument("--seconds", type=float, default=300.0, help="for so long nodes read")
    parser.add_argument("--cut", type=float, default=120.0, help="seconds without the first site")
    parser.add_argument("--backlog", type=int, default=0, help="readings a node that wait at first")
    parser.add_argument("--clocks-every", type=int, default=10, help="a node in so many is off")
    options = parser.parse_args()
    bin_dir = programs()
    if bin_dir is None:
        raise SystemExit("PostgreSQL 15 or later is not installed")
    port = free_port()
    server = PostgresServer(bin_dir, syncs=True, port=port)
    folder = Path(tempfile.mkdtemp(prefix="harvester-sites-"))
    try:
        server.start()
        verdict = run(server, folder, options)
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(verdict)
    sys.exit(0 if verdict.is_right else 1)


def run(server: PostgresServer, folder: Path, options: argparse.Namespace) -> check.Verdict:
    url = server.new_database()
    database = url.partition("?")[0].rpartition("/")[2]
    with contextlib.ExitStack() as stack:
        sites = []
        for number in range(options.hubs):
            link = free_port()
            through = f"postgresql://harvester@{HOST}:{link}/{database}"
            backlog = options.backlog if number == 1 % options.hubs else 0
            ports = (link, server.port)
            plan = SiteSetup(f"site-{number}", through, ports, options.nodes, backlog)
            sites.append(stack.enter_context(running(plan, folder / str(number))))
        for site in sites:
            site.load(
                interval_s=options.interval,
                seconds=options.seconds,
                clocks_every=options.clocks_every,
            )
        it = Run(server, sites)
        it.play(faults(server, sites, options.seconds, options.cut))
        it.wait_for_nodes()
        it.wait_for_forwarders()
        it.tell()
        print(f"the database took {server_cpu_s(server):.0f} s of CPU since its last start")
        return check.compare(url, {site.name: site.sent for site in sites})


if __name__ == "__main__":
    main()
