"""The chaos tests' proxy understands a conversation in whatever pieces it comes."""

import struct
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos import pgwire
from tests.chaos.pgwire import Conversation, Cycle


def message(kind: str, body: bytes = b"") -> bytes:
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def startup(code: int, body: bytes = b"") -> bytes:
    return struct.pack("!II", len(body) + 8, code) + body


READY = message("Z", b"I")
SSL, GSSENC, VERSION_3, CANCEL = 80877103, 80877104, 196608, 80877102
LOOKED_AT = 64  # instead of what is used: cut into single bytes, less is enough
LARGE = b"x" * (LOOKED_AT + 7)
TURNS = [
    (startup(GSSENC), b"N"),
    (startup(SSL), b"N"),
    (startup(VERSION_3, b"user\0me\0\0"), message("R", b"\0\0\0\0") + message("S", b"a\0b\0") + READY),
    (message("Q", b"BEGIN\0"), message("C", b"BEGIN\0") + message("Z", b"T")),
    (
        message("P", b"s1\0UPDATE t\0\0\0")
        + message("B", b"\0s1\0" + LARGE)
        + message("E", b"\0\0\0\0\0")
        + message("S"),
        message("1") + message("2") + message("D", LARGE) + message("C", b"UPDATE 1\0") + message("Z", b"T"),
    ),
    (message("Q", b"COPY t FROM STDIN\0"), message("G", b"\0\0\0")),
    (message("d", LARGE) + message("c"), message("C", b"COPY 1\0") + message("Z", b"T")),
    (
        message("P", b"\0COPY u FROM STDIN\0\0\0") + message("B", b"\0\0") + message("E", b"\0\0\0\0\0") + message("S"),
        message("1") + message("2") + message("G", b"\0\0\0"),
    ),
    (message("d", b"1") + message("c") + message("S"), message("C", b"COPY 2\0") + message("Z", b"T")),
    (message("B", b"p\0s1\0") + message("E", b"p\0\0\0\0\0") + message("S"), message("E", b"no") + message("Z", b"E")),
    (message("Q", b"COMMIT\0"), message("N", b"!") + message("C", b"ROLLBACK\0") + READY),
    (message("Q", LARGE + b"\0"), message("C", b"SELECT 0\0") + READY),
    (message("X"), b""),
]
SAID = [
    ([], [], "I"),
    (["BEGIN"], ["BEGIN"], "T"),
    (["UPDATE t"], ["UPDATE 1"], "T"),
    (["COPY t FROM STDIN"], ["COPY 1"], "T"),
    (["COPY u FROM STDIN"], ["COPY 2"], "T"),
    (["UPDATE t"], [], "E"),
    (["COMMIT"], ["ROLLBACK"], "I"),
    ([LARGE[:LOOKED_AT].decode()], ["SELECT 0"], "I"),
]


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@given(st.integers(1, 300), st.integers(1, 300))
def test_each_reply_belongs_to_its_statements_however_the_bytes_are_cut(from_client: int, from_server: int) -> None:
    conversation = Conversation(lambda cycle: False)
    ended: list[Cycle] = []
    with patch.object(pgwire, "LOOKED_AT", LOOKED_AT):
        for question, answer in TURNS:
            for piece in pieces(question, from_client):
                conversation.from_client(piece)
            for piece in pieces(answer, from_server):
                ended += conversation.from_server(piece)
    assert [(cycle.statements, cycle.tags, cycle.status) for cycle in ended] == SAID


def test_of_a_withheld_reply_no_whole_message_is_let_through_before_its_end() -> None:
    conversation = Conversation(lambda cycle: "COMMIT" in cycle.statements)
    conversation.from_client(startup(VERSION_3) + message("Q", b"SELECT\0") + message("Q", b"COMMIT\0"))
    conversation.from_server(READY + message("C", b"SELECT 1\0") + READY)

    tag = message("C", b"COMMIT\0")
    for piece in pieces(tag[:-1], 1):
        assert conversation.from_server(piece) == []
        assert not conversation.withholding
    for piece in pieces(tag[-1:] + READY[:-1], 1):
        assert conversation.from_server(piece) == []
        assert conversation.withholding
    assert [cycle.statements for cycle in conversation.from_server(READY[-1:])] == [["COMMIT"]]
    assert not conversation.withholding


def test_a_reply_that_the_client_waits_for_within_its_cycle_is_never_withheld() -> None:
    conversation = Conversation(lambda cycle: True)
    conversation.from_client(startup(VERSION_3))
    conversation.from_server(READY)
    conversation.from_client(message("P", b"\0COMMIT\0\0\0") + message("H"))
    conversation.from_server(message("1"))
    assert not conversation.withholding

    conversation.from_client(message("S") + message("Q", b"COPY t FROM STDIN\0"))
    conversation.from_server(READY + message("G", b"\0\0\0"))
    assert not conversation.withholding


def test_what_is_encrypted_or_a_cancellation_is_left_alone() -> None:
    for first, answer in [(startup(SSL), b"S"), (startup(CANCEL, b"12345678"), b""), (b"\x16\x03\x01" + LARGE, b"")]:
        conversation = Conversation(lambda cycle: True)
        conversation.from_client(first)
        conversation.from_server(answer)
        conversation.from_client(message("Q", b"COMMIT\0"))
        assert conversation.from_server(message("C", b"COMMIT\0") + READY) == []
        assert not conversation.withholding
