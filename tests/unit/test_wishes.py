"""Which wish counts: the documented order, field by field, against an oracle that knows nothing but that order."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pgsupervise.django_app.policies import Policy, register
from pgsupervise.django_app.preferences import Wishes, resolved_window, wishes_of
from pgsupervise.partitions.rows import Person, Preference
from tests.registries import own_registries

POLICIES = {"news": ("marketing", False), "bills": ("", False), "security": ("marketing", True)}
DECLARED = ("inbox", "sendgrid")
TENANTS = ["", "acme", "other"]

LEVEL = st.tuples(st.sampled_from(TENANTS), st.sampled_from(["", *POLICIES]), st.sampled_from(["", "marketing", "x"]))
WISH = st.builds(
    lambda level, muted, channels, window: Preference(level[0], level[1], level[2], muted, channels, window),
    LEVEL.filter(lambda level: not (level[1] and level[2])),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, [], ["inbox"], ["sendgrid"], ["sendgrid", "inbox"], ["null"]]),
    st.sampled_from([None, {"every": 60}, {"cron": "0 9 * * *"}]),
)
# One row a level, as the tables hold them.
WISHES = st.lists(WISH, max_size=12, unique_by=lambda wish: wish[:3])


@pytest.fixture(autouse=True, scope="module")
def registered() -> Iterator[None]:
    with own_registries():
        for name, (category, required) in POLICIES.items():
            window = timedelta(hours=1)
            register(Policy(name=name, window=window, channel=DECLARED, category=category, required=required))
        yield


def oracle(own: list[Preference], prescribed: list[Preference], policy: str, tenant: str) -> Wishes:
    """Go through the documented order, line by line, once for each field."""
    category, required = POLICIES[policy]
    order = [
        (own, tenant, policy, "", bool(tenant)),
        (own, tenant, "", category, bool(tenant and category)),
        (own, tenant, "", "", bool(tenant)),
        (own, "", policy, "", True),
        (own, "", "", category, bool(category)),
        (own, "", "", "", True),
        (prescribed, tenant, policy, "", bool(tenant)),
        (prescribed, tenant, "", category, bool(tenant and category)),
        (prescribed, tenant, "", "", bool(tenant)),
    ]
    found: dict[str, Any] = {"muted": None, "channels": None, "window": None}
    for field in found:
        for rows, of_tenant, of_policy, of_category, is_asked in order:
            for row in rows:
                if is_asked and row[:3] == (of_tenant, of_policy, of_category) and found[field] is None:
                    found[field] = getattr(row, field)
    channels = DECLARED if found["channels"] is None else tuple(c for c in DECLARED if c in found["channels"])
    if required:
        return Wishes(False, channels or DECLARED, found["window"])
    return Wishes(found["muted"] or False, channels, found["window"])


@given(WISHES, WISHES, st.sampled_from(sorted(POLICIES)), st.sampled_from(TENANTS))
@example(
    [Preference("", "news", "", False, None, None), Preference("acme", "", "", True, None, None)], [], "news", "acme"
)
def test_the_most_specific_wish_counts(
    own: list[Preference], prescribed: list[Preference], policy: str, tenant: str
) -> None:
    prescribed = [wish for wish in prescribed if wish.tenant]  # as the table demands
    person = Person(recipient="ann", preferences=own, tenant_preferences=prescribed)
    expected = oracle(own, prescribed, policy, tenant)
    assert wishes_of(person, policy, POLICIES[policy][0], tenant) == expected
    assert resolved_window(person, policy, POLICIES[policy][0], tenant) == expected.window


def test_where_nothing_is_stored_the_policy_counts_as_declared() -> None:
    assert wishes_of(None, "news", "marketing", "acme") == Wishes(False, DECLARED, None)
    assert wishes_of(Person(recipient="ann"), "news", "marketing", "acme") == Wishes(False, DECLARED, None)


def test_of_a_policy_that_is_not_registered_only_the_wishes_are_known() -> None:
    assert wishes_of(None, "gone") == Wishes(False, None, None)
    wish = Preference("", "gone", "", True, ["inbox"], None)
    assert wishes_of(Person(recipient="ann", preferences=[wish]), "gone") == Wishes(True, ("inbox",), None)


@pytest.mark.parametrize("odd", [7, "inbox", {"inbox": 1}, 1.5, True])
def test_what_nobody_could_have_wished_says_nothing(odd: Any) -> None:
    """Rows are written by raw SQL, too."""
    wish = Preference("", "news", "", None, odd, None)
    assert wishes_of(Person(recipient="ann", preferences=[wish]), "news") == Wishes(False, DECLARED, None)
