"""Faults on purpose, and what is still true after them."""
