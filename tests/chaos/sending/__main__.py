"""`python -m tests.chaos.sending`."""

import os
import sys

import django

# Before anything is imported that imports models. The database comes later; until then the name leads nowhere.
os.environ.update(DJANGO_SETTINGS_MODULE="tests.chaos.sending.settings", PGSUPERVISE_DSN="dbname=unset")
django.setup()

from tests.chaos.sending.run import main  # noqa: E402 - see above

if __name__ == "__main__":
    sys.exit(main())
