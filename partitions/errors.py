"""What can go wrong between a process and its tables."""


class LeaseLostError(Exception):
    """The bucket has another owner, or the same one under a later epoch: nothing was written."""

    def __init__(self, bucket: int, epoch: int) -> None:
        super().__init__(f"bucket {bucket} is no longer held with epoch {epoch}")
        self.bucket = bucket
        self.epoch = epoch
