"""What was told is taken back and read, and wishes change, while the faults rain; and what the answers were."""

from random import Random

from pgsupervise.django_app.preferences import set_preference
from pgsupervise.django_app.reading import mark_read
from pgsupervise.django_app.retracting import retract
from tests.chaos.evidence import READ, Answer

FICKLE = frozenset(f"fickle{number}@example.com" for number in range(4))
"""Who mutes everything, or a channel, and wishes for it again; nobody else does."""
RECENT = 40
RETRACTED, WAS_READ, WISHED = 0.15, 0.15, 0.1


class Changes:
    """Used by the load's thread, within its transactions; what these become is told by `settle`."""

    def __init__(self, rand: Random) -> None:
        self.answers: list[Answer] = []
        self._rand = rand
        self._known: list[tuple[int, int, str]] = []
        self._told: list[tuple[int, int, str]] = []
        self._asked: list[Answer] = []

    def begin(self) -> None:
        """Forget all that was."""
        self.answers, self._known = [], []

    def told(self, number: int, event_id: int, recipient: str) -> None:
        """Remember an event that may be taken back when it is committed."""
        self._told.append((number, event_id, recipient))

    def happen(self) -> None:
        """Do this and that, mostly nothing."""
        if self._known and self._rand.random() < RETRACTED:
            number, event_id, _ = self._rand.choice(self._known[-RECENT:])
            self._asked.append(Answer(number, retract(event_id)))
        if self._known and self._rand.random() < WAS_READ:
            number, event_id, recipient = self._rand.choice(self._known[-RECENT:])
            if mark_read(recipient, [event_id]).marked:
                self._asked.append(Answer(number, READ))
        if self._rand.random() < WISHED:
            channels = self._rand.choice([None, None, ["inbox"], ["sendgrid"]])
            muted = self._rand.choice([True, False])
            set_preference(self._rand.choice(sorted(FICKLE)), muted=muted, channels=channels)

    def settle(self, *, is_certain: bool | None) -> None:
        """Say that the transaction was committed, or that nobody knows, or, by None, that it was rolled back."""
        if is_certain:
            self._known += self._told
        if is_certain is not None:
            self.answers += [answer._replace(is_certain=is_certain) for answer in self._asked]
        self._told, self._asked = [], []
