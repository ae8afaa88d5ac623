"""Tasks, policies and channels that one test declares, and no other sees."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pgsupervise.django_app import channels, policies, task_registry


@contextmanager
def own_registries() -> Iterator[None]:
    """Forget at the end what was registered meanwhile."""
    registries: list[dict[str, Any]] = [task_registry._registry, policies._registry, channels._registry]
    before = [dict(registry) for registry in registries]
    try:
        yield
    finally:
        for registry, kept in zip(registries, before, strict=True):
            registry.clear()
            registry.update(kept)
