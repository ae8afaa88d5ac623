"""How much to claim at once: about 200 ms of work, by what tasks have taken so far."""

CHUNK_SECONDS = 0.2
LARGEST_CHUNK = 1000
SLOW_SECONDS = 0.02
_WEIGHT = 0.1


class Pace:
    """Moving averages of task durations: over all tasks for the chunk, and per name for the next task."""

    def __init__(self) -> None:
        self._average = CHUNK_SECONDS / 10
        self._by_name: dict[str, float] = {}

    @property
    def chunk(self) -> int:
        """How many tasks to claim at once."""
        return max(1, min(LARGEST_CHUNK, int(CHUNK_SECONDS / self._average)))

    def ran(self, name: str, seconds: float) -> None:
        """Take note of a task that ran."""
        self._average += _WEIGHT * (max(seconds, 1e-6) - self._average)
        known = self._by_name.get(name, seconds)
        self._by_name[name] = known + _WEIGHT * (seconds - known)

    def is_slow(self, name: str) -> bool:
        """Return whether others' results should be written down before a task of this name is begun."""
        return self._by_name.get(name, SLOW_SECONDS) >= SLOW_SECONDS
