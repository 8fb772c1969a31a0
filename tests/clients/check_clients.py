"""Clients of other people in their default settings, over each transport that they have."""

import functools
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.support.wait import WebDriverWait

from tests.clients.house import PASSWORD, USER, House, environment, running
from tests.clients.install import MODULES
from tests.support import HOST, PROJECT, WAIT_S, free_port, program

PROGRAMS = Path(__file__).with_name("programs")
LENGTHS = "1 1 100000"
TIME_LIMIT_S = 120.0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("clients")) as found:
        yield found


def run(*command: str) -> str:
    """Return what a client has printed. The password is in its environment."""
    done = subprocess.run(
        command,
        env=environment(),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("version", ["", "5", "3"], ids=["default", "5", "3.1"])
@pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss"])
def test_mqtt_js(house: House, transport: str, version: str) -> None:
    node, ca = program("node"), house.ca_for(transport)
    script = str(PROGRAMS / "mqttjs.js")
    topic = f"lab/js{version}"
    assert run(node, script, house.url(transport), ca, topic, version) == LENGTHS


@pytest.mark.parametrize(
    ("library", "transport"),
    [
        *(("paho", transport) for transport in ("tcp", "tls", "ws", "wss")),
        *(("aiomqtt", transport) for transport in ("tcp", "tls", "ws", "wss")),
        *(("gmqtt", transport) for transport in ("tcp", "tls")),
    ],
)
def test_libraries_of_python(house: House, library: str, transport: str) -> None:
    script = str(PROGRAMS / "in_python.py")
    port, ca = str(house.ports[transport]), house.ca_for(transport)
    assert run(sys.executable, script, library, transport, port, ca, f"lab/{library}") == LENGTHS


def mosquitto(house: House, name: str, transport: str, *options: str) -> list[str]:
    ca = house.ca_for(transport)
    port = str(house.ports[transport])
    login = ["-h", HOST, "-p", port, "-u", USER, "-P", PASSWORD]
    return [program(name), *login, *(["--cafile", ca] if ca else []), *options]


@pytest.mark.parametrize("version", [(), ("-V", "mqttv5")], ids=["default", "5"])
@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_mosquittos_clients(house: House, transport: str, version: tuple[str, ...]) -> None:
    common = ("-t", "lab/mosquitto", "-q", "2", *version)
    run(*mosquitto(house, "mosquitto_pub", transport, "-m", "kept", "-r", *common))
    assert run(*mosquitto(house, "mosquitto_sub", transport, "-C", "1", *common)) == "kept"


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_mosquitto_rr_gets_its_answer(house: House, transport: str) -> None:
    options = ("-t", "lab/ask", "-e", "lab/answer", "-m", "question")
    with house.beside(transport) as answering:
        answering.subscribe(("lab/ask", 1))
        command = mosquitto(house, "mosquitto_rr", transport, *options)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as asking:
            assert answering.receive().payload == b"question"
            answering.publish("lab/answer", b"answer")
            assert asking.communicate(timeout=WAIT_S)[0].strip() == "answer"


@pytest.fixture
def page() -> Iterator[int]:
    """Serve MQTT.js to a browser; return the port."""
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(MODULES / "mqtt" / "dist")
    )
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer((HOST, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(WAIT_S)


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Driver(program("chromedriver")))
    yield driver
    driver.quit()


CLIENT_OF_PAGE = """
const done = arguments[arguments.length - 1];
const script = document.createElement("script");
script.src = "/mqtt.min.js";
script.onload = () => {
  const options = {username: arguments[1], password: arguments[2], reconnectPeriod: 0};
  const client = mqtt.connect(arguments[0], options);
  client.on("close", () => done("closed"));
  client.on("connect", () => client.subscribe("lab/browser", () => {
    client.publish("lab/browser", "hello", {qos: 1});
  }));
  client.on("message", (_, payload) => done(payload.toString()));
};
document.head.append(script);
"""


@pytest.mark.parametrize(("host", "said"), [(HOST, "hello"), ("localhost", "closed")])
def test_a_browser_connects_from_a_page_of_the_hub_alone(
    house: House, browser: webdriver.Chrome, page: int, host: str, said: str
) -> None:
    browser.set_script_timeout(WAIT_S)
    browser.get(f"http://{host}:{page}/")
    WebDriverWait(browser, WAIT_S).until(lambda one: one.execute_script("return document.body"))
    url = house.url("ws")
    assert browser.execute_async_script(CLIENT_OF_PAGE, url, USER, PASSWORD) == said


def flow(house: House, transport: str, version: str) -> list[dict[str, object]]:
    """Return a flow that answers what it is asked, with the defaults of the editor."""
    secure = transport in ("tls", "wss")
    url = house.url(transport) if transport in ("ws", "wss") else HOST
    common = {"z": "flow", "broker": "broker", "qos": "2"}
    ca = house.ca_for(transport)
    return [
        {"id": "flow", "type": "tab", "label": "check"},
        {
            "id": "broker",
            "type": "mqtt-broker",
            "broker": url,
            "port": str(house.ports[transport]),
            "usetls": secure,
            "protocolVersion": version,
            "tls": "tls" if secure else "",
        },
        {
            "id": "tls",
            "type": "tls-config",
            "cert": "",
            "key": "",
            "ca": ca,
            "verifyservercert": True,
        },
        {**common, "id": "in", "type": "mqtt in", "topic": "lab/red/ask", "wires": [["out"]]},
        {**common, "id": "out", "type": "mqtt out", "topic": "lab/red/answer", "wires": []},
    ]


@pytest.mark.parametrize(
    ("transport", "version"), [("tcp", "4"), ("tls", "4"), ("ws", "4"), ("wss", "4"), ("tcp", "5")]
)
def test_node_red(house: House, tmp_path: Path, transport: str, version: str) -> None:
    (tmp_path / "flows.json").write_text(json.dumps(flow(house, transport, version)))
    logins = {"broker": {"user": USER, "password": PASSWORD}}
    (tmp_path / "flows_cred.json").write_text(json.dumps(logins))
    (tmp_path / "settings.js").write_text(
        f"module.exports = {{uiPort: {free_port()}, uiHost: '{HOST}', flowFile: 'flows.json', "
        "credentialSecret: false};"
    )
    log = tmp_path / "log"
    command = [program("node"), str(MODULES / "node-red" / "red.js"), "--userDir", str(tmp_path)]
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as red:
        try:
            wait_for_text(log, "Connected to broker")
            with house.beside(transport) as client:
                client.subscribe(("lab/red/answer", 1))
                # Its subscription may come after its connection.
                for _ in range(int(WAIT_S)):
                    client.publish("lab/red/ask", b"hello", 2)
                    if client.take_some(1, quiet_s=1.0):
                        break
                else:
                    raise AssertionError(log.read_text())
        finally:
            red.terminate()


def wait_for_text(file: Path, text: str) -> None:
    waiting = threading.Event()
    for _ in range(int(WAIT_S / 0.1)):
        if text in file.read_text():
            return
        waiting.wait(0.1)
    raise AssertionError(file.read_text())
