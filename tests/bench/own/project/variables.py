"""Names of the environment variables by which the curves reach into their project's processes."""

CHUNK = "BENCH_CHUNK"
TALLY = "BENCH_TALLY"
SENDGRID_HOST = "BENCH_SENDGRID_HOST"
