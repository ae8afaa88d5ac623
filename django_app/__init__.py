"""The Django side: models and migrations, `@task`, `notify()`, policies, rendering, channels and admin."""
