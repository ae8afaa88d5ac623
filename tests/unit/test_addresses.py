"""Which addresses mail can go to, and in which one spelling they are sent to and looked for."""

import re
from email import message_from_bytes
from email.message import Message
from email.policy import SMTP
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives
from hypothesis import given
from hypothesis import strategies as st

from pgsupervise.django_app.addresses import AddressError, checked_address, checked_sender, split_address
from pgsupervise.partitions.suppressions import key_of


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ann@example.com", "ann@example.com"),
        ("Ann.Lee+news@EXAMPLE.Com", "Ann.Lee+news@example.com"),
        ("Ann <ann@example.com>", "ann@example.com"),
        ("Lee, Ann <ann@example.com>", "ann@example.com"),
        ("ann@b\u00fccher.example", "ann@xn--bcher-kva.example"),
        ("ann@B\u00dcCHER.example", "ann@xn--bcher-kva.example"),
        ("ann@fa\u00df.example", "ann@xn--fa-hia.example"),  # IDNA 2003 would write to somebody else, at fass.example
        ("ann@\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.com", "ann@example.com"),
        ("ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"),
        ("ann@localhost", "ann@localhost"),
        ("ann@mail.local", "ann@mail.local"),
    ],
)
def test_an_address_has_one_spelling(text: str, address: str) -> None:
    assert checked_address(text) == address


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        (None, "must be a str"),
        ("ann", "'ann' is no e-mail address"),
        ("ann@", "no e-mail address"),
        ("@example.com", "no e-mail address"),
        ("a b@example.com", "no e-mail address"),
        ("ann@exa mple.com", "no e-mail address"),
        ("ann@example.com, eve@example.com", "no e-mail address"),
        ("ann@example.com;eve@example.com", "no e-mail address"),
        ("ann@@example.com", "no e-mail address"),
        ("ann@-example.com", "no e-mail address"),
        ("ann@example", "no e-mail address"),
        ("\u00e4nn@example.com", "before the @ that are not ASCII"),
        (
            "\u017fnn@example.com",
            "before the @ that are not ASCII",
        ),  # which [a-z] fits where upper case does not matter
        ("ann@example.com\r\nBcc: eve@example.com", r"remove the character '\r'"),
        ("ann@example.com\0", r"remove the character '\x00'"),
        ('"\x01"@example.com', r"remove the character '\x01'"),
        ("ann@exam\u2028ple.com", "has a domain that cannot be"),
        ("x" * 400 + "@example.com", "shorten it to 320"),
    ],
)
def test_what_is_no_address_is_refused_with_the_value_and_the_reason(text: Any, told: str) -> None:
    with pytest.raises(AddressError, match=re.escape(told)):
        checked_address(text)


@pytest.mark.parametrize("spelling", ["ANN@example.com", "ann@EXAMPLE.com", "Ann <Ann@Example.com>"])
def test_all_spellings_of_a_mailbox_are_one_key_of_the_suppression_list(spelling: str) -> None:
    assert key_of("email", checked_address(spelling)).address == "ann@example.com"


@pytest.mark.parametrize(
    ("given", "frozen"),
    [
        ("news@example.com", "news@example.com"),
        ("Shop <news@Example.com>", "Shop <news@example.com>"),
        ("Smith, Bob <bob@example.com>", '"Smith, Bob" <bob@example.com>'),
        ('"Smith, \\"Bob\\"" <bob@example.com>', '"Smith, \\"Bob\\"" <bob@example.com>'),
        ("Shop; News <news@example.com>", '"Shop; News" <news@example.com>'),
        ("Zo\u00eb <zoe@b\u00fccher.example>", "Zo\u00eb <zoe@xn--bcher-kva.example>"),
    ],
)
def test_a_sender_is_written_so_that_every_mail_class_reads_it_alike(given: str, frozen: str) -> None:
    assert checked_sender(given) == frozen
    assert checked_sender(frozen) == frozen
    mail = parsed(EmailMultiAlternatives("s", "t", frozen, ["ann@example.com"]))
    (address,) = mail["From"].addresses
    assert (address.display_name, address.addr_spec) == split_address(frozen)


def parsed(mail: EmailMultiAlternatives) -> Any:
    """Return a message as its receiver reads it."""
    return message_from_bytes(mail.message().as_bytes(), policy=SMTP)


@given(
    text=st.text("ab.+-_\"\\ ,;<>@'()\r\n\0\u00e9\u017f", min_size=1, max_size=9),
    host=st.sampled_from(["example.com", "b\u00fccher.example"]),
)
def test_whatever_passes_is_one_recipient_for_djangos_mail_classes_too(text: str, host: str) -> None:
    try:
        address = checked_address(f"{text}@{host}")
    except AddressError:
        return
    assert address.isascii()
    assert address.isprintable()
    mail: Message = EmailMultiAlternatives("s", "t", "news@example.com", [address]).message()
    (one,) = message_from_bytes(mail.as_bytes(), policy=SMTP)["To"].addresses
    assert one.addr_spec == address
