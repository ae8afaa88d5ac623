"""`python -m tests.bench`: pgsupervise beside its peers on one machine, and how it grows."""
