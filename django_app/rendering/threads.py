"""Headers by which a mail program shows the digests of one conversation together."""

import hashlib
import json
import re
from contextlib import suppress
from functools import lru_cache

from pgsupervise.partitions.rows import DueBatch


def thread_headers(batch: DueBatch, sender: str) -> dict[str, str]:
    """Return headers that refer to a message that never was, the same for each digest of the batch's key.

    To one of ours that was sent they could not refer: providers give messages ids of their own. Nothing of the key or
    the recipient is in them but hashes, so that neither can end the header or be read by others.
    """
    policy = re.sub("[^A-Za-z0-9]+", "-", batch.policy).strip("-")[:40] or "digest"
    key, recipient = _hash(batch.policy, batch.tenant, batch.key), _hash(batch.recipient)
    root = f"<{policy}.{key}.{recipient}@{_domain(sender)}>"
    return {"References": root, "In-Reply-To": root}


def _hash(*texts: str) -> str:
    # As JSON: it keeps neighbours apart, and escapes what UTF-8 cannot hold.
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:20]


@lru_cache
def _domain(sender: str) -> str:
    _, at, host = sender.rpartition("@")
    host = host.rstrip("> \t").lower() if at else ""
    with suppress(UnicodeError):  # no name of a host: what is left of it below will do
        host = host.encode("idna").decode()
    labels = (re.sub("[^a-z0-9-]", "", label) for label in host.split("."))
    return ".".join(filter(None, labels)) or "localhost"
