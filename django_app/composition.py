"""The composition root: everything of the project that the processes use. The command line calls it by dotted name."""

import logging
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.conf import ENVIRONMENT_VARIABLE
from django.conf import settings as django_settings
from django.core import checks
from django.db import connections, router
from psycopg import pq

from pgsupervise.supervisor.project import PolicySpec, Project

from .loading import ProjectError, fault_of, set_up
from .texts import one_line

logger = logging.getLogger(__name__)
__all__ = ["ProjectError", "assemble", "conninfo", "let_go", "load", "policy_specs", "problems"]


def load(settings_module: str | None) -> Project:
    """Set Django up and return the project, with no connection left open and no thread running.

    Without a settings module that of the environment counts. Raises ProjectError when the project does not import, with
    all that can be told then; whatever else is wrong with it `problems` returns.
    """
    module = settings_module or os.environ.get(ENVIRONMENT_VARIABLE, "")
    set_up(module)
    try:
        _require_postgresql()
    except ProjectError:
        raise
    except Exception as error:
        raise ProjectError(fault_of(module, error)) from error
    _keep_connections()
    project = assemble()
    let_go()
    return project


def assemble() -> Project:
    """Return the project as it is registered in this process, where Django is set up."""
    from . import channels, preferences_sealing, settings, task_runner  # they import models, which need Django set up
    from .channel_limits import limited

    # What is wrong with the settings `problems` tells.
    given = settings.Settings() if settings.problems() else settings.read()
    return Project(
        conninfo=conninfo(),
        tasks=task_runner.task_specs(),
        run_task=task_runner.run_task,
        policies=policy_specs(),
        render=preferences_sealing.render,
        channels=limited(channels.known(), given.channel_limits),
        longest_send=longest_send(),
        close_connections=connections.close_all,
        objection=preferences_sealing.objection,
        time_zone=django_settings.TIME_ZONE,
        unknown_grace=unknown_grace(),
        most_copies=given.most_copies,
        most_per_hour=given.most_per_hour,
    )


def policy_specs() -> dict[str, PolicySpec]:
    """Return what the processes need to know about the registered policies."""
    from . import policies
    from .policy_specs import spec_of

    return {name: spec_of(policy) for name, policy in policies.registry.items()}


def longest_send() -> timedelta:
    """Return how long a call of a channel may take; faults of the settings are told by `problems`."""
    from . import settings

    given = settings.sound()
    return timedelta(seconds=max(given.sendgrid_timeout, given.email_timeout, given.webhook_timeout))


def unknown_grace() -> timedelta:
    """Return how long providers may tell of messages of unknown fate; faults of the settings are told by `problems`."""
    from . import settings

    return timedelta(seconds=settings.sound().unknown_grace)


def problems() -> list[str]:
    """Return every fault of the loaded project's configuration, one line each with its cure. Call `load` first."""
    from . import channel_limits, channels, policies, readiness, settings
    from .channel_problems import channel_problems, fallback_problems
    from .policy_problems import host_problems
    from .rendering import template_problems
    from .unknown_problems import unknown_problems
    from .unsubscribe_checks import lost_links

    found = [*_check_problems(), *settings.problems()]
    found.extend(host_problems(policies.registry))
    for policy in policies.registry.values():
        if policy.digest is not None:
            continue
        for unknown in [name for name in policy.every_channel if name not in channels.known()]:
            names = ", ".join(channels.known())
            found.append(f"policy {policy.name!r}: there is no channel {unknown!r}: use one of {names}")
        found.extend(fallback_problems(policy))
        found.extend(template_problems(policy))
    found.extend(channel_problems(policies.registry))
    found.extend(unknown_problems())
    if lost := lost_links(policies.registry.values()):
        logger.warning(lost)
    if not settings.problems():
        found.extend(channel_limits.problems(channels.known(), settings.read().channel_limits))
    found.extend(readiness.database_problems(conninfo()))
    let_go()
    return found


def conninfo() -> Mapping[str, Any]:
    """Return what libpq needs to reach the database of pgsupervise's tables, and nothing of what is Django's own."""
    understood = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    parameters = connections[_alias()].get_connection_params()
    return {name: value for name, value in parameters.items() if name in understood}


def _alias() -> str:
    return router.db_for_write(apps.get_model("pgsupervise", "Task"))


def _require_postgresql() -> None:
    if connections[_alias()].vendor != "postgresql":
        raise ProjectError("; ".join(_check_problems()))
    conninfo()  # raises where a setting that it needs is missing


def _keep_connections() -> None:
    """Let a worker keep its connection: by Django's default, made for requests, each task would open a new one."""
    for options in connections.settings.values():
        if options["CONN_MAX_AGE"] == 0 and not options["OPTIONS"].get("pool"):
            options["CONN_MAX_AGE"] = None


def database_problems() -> list[str]:
    """Return what keeps the workers from using the database, each fault with its cure."""
    from . import readiness

    if connections[_alias()].vendor != "postgresql":
        return _check_problems()
    found = readiness.database_problems(conninfo())
    let_go()
    return found


def _check_problems() -> list[str]:
    messages = checks.run_checks(tags=[checks.Tags.models])
    return [one_line(str(message)) for message in messages if message.is_serious() and not message.is_silenced()]


def let_go() -> None:
    """Close the connections and the pools, whose threads and sockets a fork must not inherit."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        if hasattr(connection, "close_pool"):
            connection.close_pool()
