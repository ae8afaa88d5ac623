"""The Django app of the growth curves: tasks that count themselves, policies that are never due before we say so."""
