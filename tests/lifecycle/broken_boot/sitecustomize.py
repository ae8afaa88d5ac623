"""Breaks every worker before it serves: on the Python path of one test's supervisor only."""

import os
import sys

if "pgsupervise.supervisor" in sys.orig_argv:
    from pgsupervise.supervisor import supervisor
    from pgsupervise.supervisor.context import ChildContext

    def crash(child: ChildContext) -> int:
        """End as a library does that crashes when it is loaded."""
        os.abort()

    supervisor.run_worker = crash  # type: ignore[attr-defined]  # that is the fault
