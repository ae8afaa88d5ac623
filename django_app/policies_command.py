"""The command `pgsupervise policies`."""

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pgsupervise.supervisor.exits import ExitCode

from .commanding import DatabaseCommand, leave, print_json
from .texts import amount
from .times import second

if TYPE_CHECKING:
    from .policy_changes import Change

ANSWERS = ("keep", "recompute", "flush")


@click.command(cls=DatabaseCommand)
@click.argument("names", metavar="[POLICY]...", nargs=-1)
@click.option("--changed", is_flag=True, help="List the open batches whose window is not what is declared now.")
@click.option("--apply", "answer", type=click.Choice(ANSWERS), help="What their owners are to do with these.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON array.")
def policies(*, names: Sequence[str], changed: bool, answer: str | None, as_json: bool) -> None:
    """Show policies as this code declares them, and how many open batches have another window than that.

    Without --apply nothing is changed. keep leaves the batches as they are; recompute gives them the declared end, and
    closes those for which that is past; flush closes all of them.

    \b
    Exit code: 0, or 2 for a policy that is not known.
    """
    from . import policy_changes as changes_of  # imports the models, which need Django set up
    from .policies import registry

    if unknown := [name for name in names if name not in registry]:
        known = ", ".join(sorted(registry)) or "none"
        leave(ExitCode.BAD_CONFIGURATION, f"no policy is registered as {', '.join(unknown)}: use some of {known}")
    found = list(changes_of.policy_changes(names or None))
    if answer:
        changes_of.apply(found, changes_of.Answer(answer))
    if as_json:
        print_json([_as_dict(change) for change in found])
    else:
        _show(found, names or sorted(registry), only_changed=changed)
        if answer and answer != "keep":
            click.echo(f"{answer}: {amount(len(found), 'batch', 'batches')}, with their owners' next fold")
    sys.exit(ExitCode.OK)


def _show(found: "Sequence[Change]", names: Sequence[str], *, only_changed: bool) -> None:
    from .policies import registry
    from .policy_words import in_words

    amounts = Counter(change.batch.policy for change in found)
    for name in names:
        changed = f"{amount(amounts[name], 'open batch', 'open batches')} would end at another time, or move otherwise"
        if amounts[name]:
            click.echo(f"{name}: {in_words(registry[name])}; {changed}")
        elif not only_changed:
            click.echo(f"{name}: {in_words(registry[name])}")
    for batch, _, declared in found if only_changed else ():
        key = f" key {batch.key!r}" if batch.key else ""
        click.echo(
            f"  batch {batch.pk} of {batch.policy} for {batch.recipient}{key}: ends {second(batch.closes_at)}, "
            f"declared {second(declared)}"
        )
    if only_changed and not found:
        click.echo("no open batch would end at another time, or move otherwise")


def _as_dict(change: "Change") -> dict[str, object]:
    names = ("policy", "recipient", "tenant", "key", "opened_at", "closes_at", "item_count")
    return {
        "batch": change.batch.pk,
        **{name: getattr(change.batch, name) for name in names},
        "declared": change.declared,
    }
