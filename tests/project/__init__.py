"""A Django app as a user would write one: tasks, a policy, and a ledger of what the tasks did."""
