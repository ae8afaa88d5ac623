"""Which field of a cron rule is at fault: the library names it, but neither its value nor what it may be."""

from datetime import datetime

from cronsim import CronSim, CronSimError

FIELDS = (
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of the month", "1-31"),
    ("month", "1-12 or jan-dec"),
    ("day of the week", "0-7 or sun-sat"),
)


def why_refused(rule: str) -> str:
    """Return why a rule of five fields is refused: each field is tried with stars in place of the others."""
    given = rule.split()
    for number, (name, allowed) in enumerate(FIELDS):
        tried = ["*"] * len(FIELDS)
        tried[number] = given[number]
        try:
            CronSim(" ".join(tried), datetime(2024, 1, 1))  # noqa: DTZ001 - a time on the wall
        except CronSimError:
            return f"its {name} is {given[number]!r}: it is of {allowed}, or *, or ranges, lists and steps of these"
    return f"day {given[2]!r} of month {given[3]!r} never comes"
