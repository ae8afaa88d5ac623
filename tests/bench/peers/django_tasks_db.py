"""django-tasks-db: it looks for new tasks every 20 ms, where its default is a second."""

from tests.bench.peers.peer import Peer
from tests.bench.peers.python_environment import PythonEnvironment

_WORKER = ("django-admin", "db_worker", "--no-startup-delay", "--interval", "0.02", "--verbosity", "0")

PEER = Peer(
    name="django-tasks-db",
    environment=PythonEnvironment(
        "django-tasks-db",
        ("django-tasks-db==0.13.0", "django-tasks==0.12.0", "Django==5.2.19", "psycopg[binary]==3.3.9"),
    ),
    folder="django_tasks_db",
    workers=(_WORKER, _WORKER),
    bulk=3_000,
    single=500,
    settings={"DJANGO_SETTINGS_MODULE": "settings"},
)
