"""What rq runs: workers import it by name."""

import counting


def count(number):
    """Count itself."""
    counting.count(number)
