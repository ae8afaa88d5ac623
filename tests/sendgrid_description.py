"""What SendGrid's published description, and the rules that it states in prose, say about a request."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from openapi_schema_validator import OAS31Validator, oas31_format_checker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

_DESCRIPTION = Path(__file__).with_name("data") / "sendgrid-mail-v3.openapi.json"
_URI = "urn:sendgrid:mail"
_ADDRESS = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+")
_RESERVED = frozenset(
    {"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding"}
    | {"to", "from", "subject", "reply-to", "cc", "bcc"}
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of `errors[]`."""

    message: str
    field: str | None


def _validator() -> Any:
    description = json.loads(_DESCRIPTION.read_text())
    operation = description["paths"]["/v3/mail/send"]["post"]
    request_body = operation["requestBody"]["$ref"]
    registry: Registry[Any] = Registry().with_resource(_URI, DRAFT202012.create_resource(description))
    schema = {"$ref": f"{_URI}{request_body}/content/application~1json/schema"}
    return OAS31Validator(schema, registry=registry, format_checker=oas31_format_checker)


_VALIDATOR = _validator()


def problems(headers: Message, content: bytes) -> tuple[int, dict[str, Any], list[Problem]]:
    """Return the status that SendGrid would answer, the body, and what is wrong with them."""
    if not headers.get("Authorization", "").startswith("Bearer SG."):
        return 401, {}, [Problem("The provided authorization grant is invalid, expired, or revoked", None)]
    if headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
        return 415, {}, [Problem("Content-Type should be application/json.", None)]
    try:
        body = json.loads(content)
    except ValueError:
        return 400, {}, [Problem("Bad Request", None)]
    found = [
        Problem(error.message, ".".join(map(str, error.absolute_path)) or None)
        for error in _VALIDATOR.iter_errors(body)
    ]
    found = found or list(_stated_in_prose(body))
    return (400 if found else 202), body, found


def _stated_in_prose(body: dict[str, Any]) -> Iterator[Problem]:
    """Yield what a schema cannot say or this one does not."""
    if sum(len(one.get(kind, [])) for one in body["personalizations"] for kind in ("to", "cc", "bcc")) > 1000:
        yield Problem("There may be at most 1000 recipients in all personalizations together.", "personalizations")
    if not body["personalizations"]:
        yield Problem("The personalizations field is required and must have at least one.", "personalizations")
    for number, personalization in enumerate(body["personalizations"]):
        yield from _stated_about_recipients(personalization, f"personalizations.{number}")
        if not personalization.get("subject", body.get("subject")) and "template_id" not in body:
            yield Problem("The subject is required.", "subject")
    if not _ADDRESS.fullmatch(body["from"]["email"]):
        yield Problem("The from object must be provided with a valid email address.", "from.email")
    yield from _stated_about_content(body)


def _stated_about_recipients(personalization: dict[str, Any], where: str) -> Iterator[Problem]:
    yield from _stated_about_headers(personalization.get("headers", {}), f"{where}.headers")
    if not personalization["to"]:
        yield Problem("The to array is required and must have at least one.", f"{where}.to")
    for recipient in personalization["to"]:
        if not _ADDRESS.fullmatch(recipient["email"]):
            yield Problem("Does not contain a valid address.", f"{where}.to.email")
        if re.search("[,;]", recipient.get("name", "")):
            yield Problem("The name may not contain commas or semicolons.", f"{where}.to.name")
    if len(json.dumps(personalization.get("custom_args", {}))) >= 10_000:
        yield Problem("The custom_args must be smaller than 10,000 bytes.", f"{where}.custom_args")


def _stated_about_content(body: dict[str, Any]) -> Iterator[Problem]:
    types = [part["type"] for part in body.get("content", [])]
    if not types and "template_id" not in body:
        yield Problem("Unless a valid template_id is provided, the content parameter is required.", "content")
    order = {"text/plain": 0, "text/html": 1}
    if types != sorted(types, key=lambda kind: order.get(kind, 2)):
        yield Problem("If present, text/plain and text/html must be first, in this order.", "content")
    has_data = any("dynamic_template_data" in one for one in body["personalizations"])
    if has_data and not str(body.get("template_id", "")).startswith("d-"):
        yield Problem("Dynamic template data needs a dynamic template.", "template_id")
    yield from _stated_about_headers(body.get("headers", {}), "headers")


def _stated_about_headers(headers: dict[str, Any], where: str) -> Iterator[Problem]:
    for name, value in headers.items():
        if name.lower() in _RESERVED:
            yield Problem(f"The header {name} is reserved.", where)
        if not isinstance(value, str):
            yield Problem("The value of a header must be a string.", f"{where}.{name}")
