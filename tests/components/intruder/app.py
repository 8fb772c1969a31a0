"""Tries what no plugin may do: the attempt's name comes through plugin-state. Prints what came."""

import encodings.idna  # noqa: F401 - what a component may need must be there when it is built
import http.client
import os
import random
import signal
import socket
import subprocess
import threading
import time

from wit_world import exports
from wit_world.exports.sensor_logic import Reading
from wit_world.imports import plugin_state


def read_a_file() -> object:
    return open("/etc/passwd").read()


def write_a_file() -> object:
    return open("/tmp/was-here", "w").write("x")


def list_a_directory() -> object:
    return os.listdir("/")


def look_above() -> object:
    return os.stat("..")


def connect() -> object:
    return socket.create_connection(("127.0.0.1", 1883), 0.2)


def send_a_datagram() -> object:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))


def look_up_a_name() -> object:
    return socket.getaddrinfo("localhost", 80)


def ask_the_web() -> object:
    connection = http.client.HTTPConnection("127.0.0.1", 3000, timeout=0.2)
    connection.request("GET", "/")
    return connection.getresponse()


def run_a_program() -> object:
    return subprocess.run(["/bin/true"], check=True)


def fork() -> object:
    return os.fork()


def replace_the_process() -> object:
    return os.execv("/bin/true", ["true"])


def kill_the_parent() -> object:
    return os.kill(1, signal.SIGTERM)


def start_a_thread() -> object:
    thread = threading.Thread(target=int)
    thread.start()
    return thread


def environment() -> dict[str, float]:
    return {"variables": float(len(os.environ))}


def arguments() -> dict[str, float]:
    return {"files": float(sum(os.path.exists(f"/proc/{n}") for n in range(100)))}


def clocks() -> dict[str, float]:
    began = time.monotonic()
    time.sleep(0.05)
    return {"wall_s": time.time(), "slept_s": time.monotonic() - began}


def chance() -> dict[str, float]:
    return {"first": random.SystemRandom().random(), "second": random.SystemRandom().random()}


class SensorLogic(exports.SensorLogic):
    def poll(self) -> list[Reading]:
        name = plugin_state.get("attempt")
        try:
            came = globals()[name]()
        except BaseException as e:  # noqa: BLE001 - whatever stops it is what is asked for
            print(f"{name}: {type(e).__name__}: {e}")
            return [Reading("intruder", 0, [("succeeded", 0.0)])]
        values = came if isinstance(came, dict) else {"succeeded": 1.0}
        return [Reading("intruder", 0, list(values.items()))]
