"""The processes: the command line, the forking parent, its slots, and what runs in them. Knows nothing of Django."""
