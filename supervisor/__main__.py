"""`python -m pgsupervise.supervisor` is `pgsupervise`."""

from .cli import main

main(prog_name="pgsupervise")
