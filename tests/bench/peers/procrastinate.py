"""procrastinate: asynchronous tasks, ten at a time a process, woken by LISTEN."""

from tests.bench.peers.peer import Peer
from tests.bench.peers.python_environment import PythonEnvironment

PEER = Peer(
    name="procrastinate",
    environment=PythonEnvironment("procrastinate", ("procrastinate==3.10.0", "psycopg[binary]==3.3.9")),
    folder="procrastinate",
    workers=(("python", "work.py"), ("python", "work.py")),
    bulk=4_000,
)
