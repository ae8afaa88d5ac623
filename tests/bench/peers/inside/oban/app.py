"""An oban app of one job."""

import counting
from oban import worker


@worker(queue="default")
class Count:
    """The job."""

    async def process(self, job):
        """Count itself."""
        counting.count(job.args["number"])
