"""Programs that call pgsupervise's API as a project does, each run in a process of its own that prints JSON."""
