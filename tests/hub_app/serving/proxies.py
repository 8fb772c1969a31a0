"""Reverse proxies with the files of deploy/, on free ports of the loopback address."""

import contextlib
import datetime as dt
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec

from broker.auth import certificates
from tests.http_client import IDLE
from tests.support import HOST, PROJECT, WAIT_S, free_port, program, wait_until_listening

OWN_NAME, SHARED_NAME = "harvester.example", "intranet.example"
PREFIX = "/harvester"


class Proxy(msgspec.Struct):
    """A running proxy: the ports of both its sites, and who signed its certificate."""

    tls_port: int
    clear_port: int
    trust: ssl.SSLContext

    def client(self, address: str, *, tls: bool) -> httpx.Client:
        """Return a client at `address` that finds both names on this machine."""
        port = self.tls_port if tls else self.clear_port
        name = OWN_NAME if tls else SHARED_NAME
        scheme = "https" if tls else "http"
        root = "" if tls else PREFIX
        return httpx.Client(
            base_url=f"{scheme}://{name}:{port}{root}",
            transport=_Here(verify=self.trust, local_address=address, limits=IDLE),
            timeout=WAIT_S,
            trust_env=False,
        )


class _Here(httpx.HTTPTransport):
    """Transport that connects to this machine whatever the URL's host, which TLS still checks."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        # A new request: the client keeps cookies by the URL of the old one.
        here = httpx.Request(
            request.method,
            request.url.copy_with(host=HOST),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )
        return super().handle_request(here)


@contextlib.contextmanager
def nginx(directory: Path, hub_port: int, websocket_port: int) -> Iterator[Proxy]:
    def start(text: str, folder: Path) -> list[str]:
        paths = "".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main = folder / "main.conf"
        main.write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/errors;"
            f"events {{}} http {{ access_log off; {paths} {text} }}"
        )
        return [program("nginx"), "-p", str(folder), "-c", str(main)]

    def adapt(text: str, tls: int, clear: int, folder: Path) -> str:
        text = text.replace("listen 443 ssl;", f"listen {HOST}:{tls} ssl;")
        text = text.replace("listen 80;", f"listen {HOST}:{clear};")
        text = text.replace("listen [::]:443 ssl;", "").replace("listen [::]:80;", "")
        text = text.replace("/etc/ssl/harvester/fullchain.pem", str(folder / "hub.pem"))
        return text.replace("/etc/ssl/harvester/privkey.pem", str(folder / "hub.key"))

    with _running("nginx.conf", directory, (hub_port, websocket_port), adapt, start) as proxy:
        yield proxy


@contextlib.contextmanager
def caddy(directory: Path, hub_port: int, websocket_port: int) -> Iterator[Proxy]:
    def start(text: str, folder: Path) -> list[str]:
        file = folder / "Caddyfile"
        file.write_text(f"{{\nadmin off\nauto_https off\n}}\n{text}")
        return [program("caddy"), "run", "--config", str(file), "--adapter", "caddyfile"]

    def adapt(text: str, tls: int, clear: int, folder: Path) -> str:
        pair = f"bind {HOST}\n tls {folder}/hub.pem {folder}/hub.key"
        text = text.replace(f"\n{OWN_NAME} {{", f"\nhttps://{OWN_NAME}:{tls} {{\n {pair}")
        site = f"http://{SHARED_NAME}"
        return text.replace(f"{site} {{", f"{site}:{clear} {{\n bind {HOST}")

    with _running("Caddyfile", directory, (hub_port, websocket_port), adapt, start) as proxy:
        yield proxy


@contextlib.contextmanager
def _running(
    name: str,
    directory: Path,
    ports: tuple[int, int],
    adapt: Callable[[str, int, int, Path], str],
    start: Callable[[str, Path], list[str]],
) -> Iterator[Proxy]:
    """Run a proxy with a file of deploy/, in which only ports and certificates are changed.

    `ports` are those of the hub's page and of its broker for WebSocket.
    """
    folder = directory / name.partition(".")[0]
    certificates.init(folder, [OWN_NAME], dt.datetime.now(dt.UTC))
    tls, clear = free_port(), free_port()
    shipped = (PROJECT / "deploy" / name).read_text()
    for number, port in zip((3000, 9001), ports, strict=True):
        shipped = shipped.replace(f"127.0.0.1:{number}", f"{HOST}:{port}")
    command = start(adapt(shipped, tls, clear, folder), folder)
    environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "PATH": "/usr/bin"}
    process = subprocess.Popen(command, env=environment)
    try:
        for port in (tls, clear):
            wait_until_listening(port)
        yield Proxy(tls, clear, ssl.create_default_context(cafile=str(folder / "ca.pem")))
    finally:
        process.terminate()
        process.wait(WAIT_S)
        shutil.rmtree(folder, ignore_errors=True)
