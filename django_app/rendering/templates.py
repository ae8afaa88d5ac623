"""The templates of a policy: found, rendered, checked ahead, and read anew after a failure."""

import time
from typing import Any

from django.template import Engine, Template, TemplateDoesNotExist

from pgsupervise.django_app.jsonvalues import byte_length
from pgsupervise.django_app.policies import Policy
from pgsupervise.django_app.texts import one_line
from pgsupervise.supervisor.project import Part

from .bounds import Bounded, storable
from .failures import RenderError, note_place

NAMES = {Part.SUBJECT: "subject.txt", Part.TEXT: "body.txt", Part.HTML: "body.html"}
MOST_BYTES = 14_000_000
"""Of a part: a message of two such parts is within what SendGrid takes."""
FORGET_SECONDS = 10.0


def rendered(policy: Policy, part: Part, context: dict[str, Any]) -> str | None:
    """Return a part of a message, or None where there is no template for it and need not be one.

    Raises TemplateDoesNotExist for the others, RenderError for what is too large, and whatever the template raises.
    """
    template = _found(policy, part, single=context["count"] == 1)
    if template is None:
        return None
    # A copy: what one template sets is not seen by the next. In the recipient's zone also where USE_TZ is False.
    layered = Bounded({**context}, autoescape=part is Part.HTML, use_tz=True)
    try:
        text = storable(template.render(layered))
    except Exception as error:
        note_place(error)
        raise
    if len(text) > MOST_BYTES // 4 and (size := byte_length(text)) > MOST_BYTES:
        raise RenderError(
            f"policy {policy.name!r}: template {template.name} gave {size} bytes, and {MOST_BYTES} are allowed: show "
            "fewer items, with Policy(retain=Retain(last=20))"
        )
    return _subject(policy, template, text) if part is Part.SUBJECT else text


def _subject(policy: Policy, template: Template, text: str) -> str:
    # One line, so that no event's text can end the header and begin another.
    subject = one_line(text)
    if not subject:
        raise RenderError(f"policy {policy.name!r}: template {template.name} gave an empty subject: write one")
    return subject


def template_problems(policy: Policy) -> list[str]:
    """Return which of the policy's templates are missing or faulty, each with its cure."""
    found = []
    for part, name in NAMES.items():
        for single in (False, True):
            path = f"{policy.template}/{'single_' if single else ''}{name}"
            try:
                _optional(path) if single else _found(policy, part, single=False)
            except TemplateDoesNotExist as missing:
                found.append(f"policy {policy.name!r}: there is no template {missing}: create it, or change `template`")
            except Exception as error:  # a syntax error of the template, or a tag library that does not import
                found.append(f"policy {policy.name!r}: template {path} is faulty: {one_line(str(error))}")
    return found


_forgotten_at = float("-inf")


def forget_templates() -> bool:
    """Read the templates anew when they are next needed, since one that failed may have been mended on disk.

    Return False, having done nothing, where that was done a moment ago: for each of a thousand batches is too often.
    """
    global _forgotten_at
    if (now := time.monotonic()) - _forgotten_at < FORGET_SECONDS:
        return False
    _forgotten_at = now
    for loader in Engine.get_default().template_loaders:
        loader.reset()
    return True


def _found(policy: Policy, part: Part, *, single: bool) -> Template | None:
    path = f"{policy.template}/{NAMES[part]}"
    if single and (template := _optional(f"{policy.template}/single_{NAMES[part]}")):
        return template
    # The Django engine itself: a project may list Jinja2 first, and text must not be escaped as HTML.
    return _optional(path) if part is Part.HTML else Engine.get_default().get_template(path)


def _optional(path: str) -> Template | None:
    try:
        return Engine.get_default().get_template(path)
    except TemplateDoesNotExist:
        return None
