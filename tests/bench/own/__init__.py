"""How pgsupervise grows, what it leaves on the machine, and what a call of it costs: no peers, each against itself."""
