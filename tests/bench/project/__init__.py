"""A small Django project, as a user of pgsupervise has one."""
