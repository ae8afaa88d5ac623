"""django-ox: four threads a process, a look for new tasks every 20 ms, where its default is a second."""

from tests.bench.peers.peer import Peer
from tests.bench.peers.python_environment import PythonEnvironment

PEER = Peer(
    name="django-ox",
    environment=PythonEnvironment(
        "django-ox", ("django-ox==1.9.1", "Django==6.1.3", "psycopg[binary]==3.3.9"), python=(3, 12)
    ),
    folder="django_ox",
    workers=(("django-admin", "ox_worker", "--processes", "2", "--concurrency", "4", "--interval", "0.02"),),
    bulk=4_000,
    single=500,
    settings={"DJANGO_SETTINGS_MODULE": "settings"},
)
