"""Turns a due batch into the message that will be sent: rendered once and frozen, so that a resend is identical."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from django.template import Context, Engine, Template, TemplateDoesNotExist

from pgsupervise.partitions.rows import DueBatch, Item, NewDelivery
from pgsupervise.supervisor.project import Part

from .channels import takes
from .policies import Policy, registered
from .settings import read
from .texts import check_text, one_line

SUBJECT, TEXT, HTML = "subject.txt", "body.txt", "body.html"
MAX_ADDRESS = 320


def render(batch: DueBatch, channels: Sequence[str] | None = None) -> list[NewDelivery]:
    """Return the batch's messages, one for each of the channels, or of the policy's own; none without items.

    The payload is JSON: items (their number) and item_ids; and where the channel takes anything of a digest to, from,
    and of subject, text and html (where there is a template for it) what it takes. Raises PolicyError,
    TemplateDoesNotExist, or whatever a template or the policy's `address` raises.
    """
    if not batch.item_ids:
        return []
    policy = registered(batch.policy)
    bare: dict[str, Any] = {"items": len(batch.item_ids), "item_ids": list(batch.item_ids)}
    return [
        NewDelivery(channel=name, payload=bare | (_message(policy, batch, parts) if (parts := takes(name)) else {}))
        for name in (policy.channels if channels is None else channels)
    ]


def _message(policy: Policy, batch: DueBatch, parts: AbstractSet[Part]) -> dict[str, str]:
    context = context_of(batch)
    message = {"to": _address(policy, batch.recipient), "from": read().from_email}
    if Part.SUBJECT in parts:
        message[Part.SUBJECT] = _subject(policy, context)
    if Part.TEXT in parts:
        message[Part.TEXT] = _render(_template(policy, TEXT, context["count"]), context, autoescape=False)
    if Part.HTML in parts and (html := _html_template(policy, context["count"])):
        message[Part.HTML] = _render(html, context, autoescape=True)
    return message


def template_problems(policy: Policy) -> list[str]:
    """Return which of the policy's templates are missing or faulty, each with its cure."""
    found = []
    for name in (SUBJECT, TEXT, HTML):
        try:
            _html_template(policy, 1) if name == HTML else _template(policy, name, 2)
        except TemplateDoesNotExist as missing:
            found.append(f"policy {policy.name!r}: there is no template {missing}: create it, or change `template`")
        except Exception as error:  # a syntax error of the template, or a tag library that does not import
            found.append(f"policy {policy.name!r}: template {policy.template}/{name} is faulty: {one_line(str(error))}")
    return found


def context_of(batch: DueBatch) -> dict[str, Any]:
    """Return what templates see of a batch, under every name by which it is known."""
    items = batch.items
    actors = list(dict.fromkeys(item.actor for item in items if item.actor))
    objects = {item.object for item in items}
    context = {
        "items": items,
        "count": len(items),
        "total": len(items),
        "omitted": 0,
        "actors": actors,
        "actor_count": len(actors),
        "actor_summary": summary(actors),
        "first_at": items[0].occurred_at,
        "last_at": items[-1].occurred_at,
        "recipient": batch.recipient,
        "policy": batch.policy,
        "key": batch.key,
        "object": objects.pop() if len(objects) == 1 else "",
    }
    return {**context, **_batched_names(items)}


def summary(actors: Sequence[str]) -> str:
    """Return the actors in a few words: "Ann", "Ann and Bob", "Ann, Bob and 3 others"."""
    match actors:
        case []:
            return ""
        case [only]:
            return only
        case [first, second]:
            return f"{first} and {second}"
        case [first, second, _]:
            return f"{first}, {second} and 1 other"
    return f"{actors[0]}, {actors[1]} and {len(actors) - 2} others"


def _batched_names(items: Sequence[Item]) -> dict[str, Any]:
    names = {"batched_events": items, "batched_event_count": len(items), "batched_events_count": len(items)}
    # Django's templates cannot say {{ $batched_events }}; code that reads the context can.
    return {**names, **{f"${name}": value for name, value in names.items()}}


def _subject(policy: Policy, context: dict[str, Any]) -> str:
    template = _template(policy, SUBJECT, context["count"])
    # One line, so that no event's text can end the header and begin another.
    subject = one_line(_render(template, context, autoescape=False))
    if not subject:
        raise ValueError(f"policy {policy.name!r}: template {template.name} gave an empty subject: write one")
    return subject


def _address(policy: Policy, recipient: str) -> str:
    address = policy.address(recipient) if policy.address else recipient
    check_text(address, f"policy {policy.name!r}: the address of {recipient!r}", MAX_ADDRESS, required=True)
    return address


def _template(policy: Policy, name: str, items: int) -> Template:
    names = [f"{policy.template}/{name}"]
    if items == 1:
        names.insert(0, f"{policy.template}/single_{name}")
    # The Django engine itself: a project may list Jinja2 first, and text must not be escaped as HTML.
    engine = Engine.get_default()
    for candidate in names[:-1]:
        if template := _optional(engine, candidate):
            return template
    return engine.get_template(names[-1])


def _html_template(policy: Policy, items: int) -> Template | None:
    engine = Engine.get_default()
    single = _optional(engine, f"{policy.template}/single_{HTML}") if items == 1 else None
    return single or _optional(engine, f"{policy.template}/{HTML}")


def _optional(engine: Engine, name: str) -> Template | None:
    try:
        return engine.get_template(name)
    except TemplateDoesNotExist:
        return None


def _render(template: Template, context: dict[str, Any], *, autoescape: bool) -> str:
    # jsonb has no NUL character, and a template might produce one.
    return template.render(Context(context, autoescape=autoescape)).replace("\x00", "")
