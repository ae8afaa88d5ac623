"""Events, windows, clocks and owners at random, against a model that knows nothing of how digests are made."""
