"""Sources of hostile plugins, each with the beginning of what its state says of it."""

HEAD = """
import os, sys, time
from wit_world import exports
from wit_world.exports.sensor_logic import Reading
from wit_world.imports import gpio_provider

def told(attempts):
    said = []
    for attempt in attempts:
        try:
            attempt()
            said.append("done")
        except BaseException as error:
            said.append(type(error).__name__)
    raise RuntimeError(" ".join(said))

"""
HEALTHY = """
class SensorLogic(exports.SensorLogic):
    secret = "the secret of a neighbour"

    def poll(self):
        return [Reading("healthy", gpio_provider.get_timestamp_ms(), [("fine", 1.0)])]
"""


def polling(body: str, before: str = "") -> str:
    lines = "".join(f"        {line}\n" for line in body.strip().splitlines())
    return f"{HEAD}{before}\nclass SensorLogic(exports.SensorLogic):\n    def poll(self):\n{lines}"


# An interface that the bundle does not declare, by a computed name and past the border's checks.
GETATTR = polling("""
i2c = __import__("wit_world.imports.i" + "2c", fromlist=["transfer"])
getattr(i2c, "trans" + "fer").__wrapped__(0x77, "d0", 1)
""")
SYS_MODULES = polling("""
import builtins
builtins.isinstance = builtins.repr = lambda *_: 1 / 0
sys.modules.clear()
sys.meta_path.clear()
return []
""")
NATIVE_CODE = polling("""
names = ("ctypes", "_ctypes", "mmap", "_testcapi", "_interpreters", "multiprocessing.spawn")
told([lambda name=name: __import__(name) for name in names])
""")
# Bytecode that reads far beyond a function's variables.
WILD_READ = polling("""
import opcode, types
op = opcode.opmap
code = [op["RESUME"], 0, op["EXTENDED_ARG"], 0x7F, op["EXTENDED_ARG"], 0xFF]
code = bytes([*code, op["LOAD_FAST"], 0xFF, op["RETURN_VALUE"], 0])
wild = (lambda: 0).__code__.replace(co_code=code, co_nlocals=0, co_varnames=(), co_stacksize=9)
types.FunctionType(wild, {})()
""")
NEIGHBOURS_MEMORY = polling("""
import gc
secret = "the secret of" + " a neighbour"
tables = [each for each in gc.get_objects() if isinstance(each, dict)]
found = [key for table in tables for key, value in list(table.items()) if value == secret]
raise RuntimeError(f"found {len(found)}")
""")
THREADS = polling("""
import _thread, threading
told([
    lambda: threading.Thread(target=print).start(),
    lambda: _thread.start_new_thread(print, ()),
])
""")
RECURSION = polling(
    "sys.setrecursionlimit(2**31 - 1)\nrepr(Deep())",
    "class Deep:\n    def __repr__(self):\n        return repr(self)\n",
)
LONG_CHAIN = polling("""
last = None
for number in range(3000):
    error = ValueError("x" * 500)
    error.__cause__ = last
    error.add_note("n" * 500)
    last = error
raise last
""")
LONG_MESSAGE = polling('raise ValueError("y" * 9_000_000)')
HOSTILE_STR = polling(
    "raise Hostile()",
    "class Hostile(Exception):\n    def __str__(self):\n        raise Hostile()\n",
)
HOSTILE_ERR = polling(
    'raise Err(Text("bad"))',
    "from componentize_py_types import Err\n\n"
    "class Text(str):\n    def __len__(self):\n        return 10**9\n"
    "    def encode(self, *_):\n        raise SystemExit\n",
)
FINALIZERS = polling(
    "run()\nagain()\nraise RuntimeError('finalized')",
    """
def endless():
    while True:
        try:
            yield
        finally:
            while True:
                try:
                    yield
                except GeneratorExit:
                    continue

def run():
    next(endless())

def again():
    class Again:
        def __del__(self):
            raise ValueError("in __del__")
    Again()
""",
)
DEL_LOOP = polling(
    "Again()",
    "class Again:\n    def __del__(self):\n        Again()\n",
)
SIGNALS = polling("""
import signal
told([lambda: signal.alarm(1), lambda: os.kill(1, 9), lambda: os.killpg(1, 9), lambda: os.fork()])
""")
ABORT = polling("os.abort()")
FORGED_ID = polling("""
import harvester_guest
harvester_guest._Border._tell_refused = lambda *_: None
for module in list(sys.modules.values()):
    for key, value in list(vars(module).items()):
        if value == "hostile":
            setattr(module, key, "healthy")
return [Reading("healthy", gpio_provider.get_timestamp_ms(), [("fine", 666.0)])]
""")
DEEP_JSON = polling("""
import json
deep = {}
for _ in range(100_000):
    deep = {"a": deep}
json.dumps(deep)
""")
SURROGATES = polling("""
return [Reading("s\\udfff", gpio_provider.get_timestamp_ms(), [("v", 1.0)])]
""")
NOT_FINITE = polling("""
values = [("a", float("nan")), ("b", float("inf")), ("c", 1e999), ("d", -0.0)]
return [Reading("odd", gpio_provider.get_timestamp_ms(), values)]
""")
SECOND_LOOK = polling(
    "return [Reading('odd', 1, [('v', Shifty())])]",
    """
class Shifty:
    looks = 0

    def __float__(self):
        Shifty.looks += 1
        if Shifty.looks > 1:
            raise KeyError("second look")
        return 1.0
""",
)
HOOKS = polling("""
sys.excepthook = sys.unraisablehook = lambda *_: None
sys.stdout = sys.stderr = None
for number in range(10):
    try:
        os.close(number)
    except OSError:
        pass
raise ValueError("hidden")
""")
NETWORK = polling("""
import socket
told([
    lambda: socket.create_connection(("127.0.0.1", 1883), 1),
    lambda: socket.getaddrinfo("localhost", 80),
    lambda: socket.socket().bind(("0.0.0.0", 9)),
])
""")
LOAD_EXIT = f"{HEAD}sys.exit('bye')\n"

HOSTILE: dict[str, tuple[str, str]] = {
    "getattr": (GETATTR, "calls i2c.transfer, which its bundle does not import"),
    "sys-modules": (SYS_MODULES, "ZeroDivisionError"),
    "native-code": (NATIVE_CODE, f"RuntimeError: {' '.join(['ModuleNotFoundError'] * 6)}"),
    "wild-read": (WILD_READ, "used memory outside of its own"),
    "neighbours-memory": (NEIGHBOURS_MEMORY, "RuntimeError: found 0"),
    "threads": (THREADS, "RuntimeError: RuntimeError RuntimeError"),
    "recursion": (RECURSION, "ran out of stack: calls or data are nested too deep"),
    "long-chain": (LONG_CHAIN, "ran out of stack: calls or data are nested too deep"),
    "long-message": (LONG_MESSAGE, "ValueError: its text is too large to print (app.py:"),
    "hostile-str": (HOSTILE_STR, "app.Hostile: <exception str() failed>"),
    "hostile-err": (HOSTILE_ERR, "bad"),
    "finalizers": (FINALIZERS, "RuntimeError: finalized"),
    "del-loop": (DEL_LOOP, "ran out of stack: calls or data are nested too deep"),
    "signals": (SIGNALS, "RuntimeError: AttributeError AttributeError"),
    "abort": (ABORT, "aborted without a traceback"),
    "forged-id": (FORGED_ID, "sensor id healthy belongs to plugin healthy"),
    "deep-json": (DEEP_JSON, "ran out of stack: calls or data are nested too deep"),
    "surrogates": (SURROGATES, "TypeError: poll(): sensor 's\\udfff'"),
    "not-finite": (NOT_FINITE, "odd: b: found inf, expected a finite number"),
    "second-look": (SECOND_LOOK, "aborted without a traceback"),
    "hooks": (HOOKS, "aborted without a traceback"),
    "network": (NETWORK, "RuntimeError: gaierror gaierror PermissionError"),
    "load-exit": (LOAD_EXIT, "called sys.exit (app.py:"),
}
