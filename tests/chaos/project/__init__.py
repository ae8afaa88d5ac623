"""A Django app whose tasks write down each run, in files that survive the database and the process."""
