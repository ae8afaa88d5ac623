"""A Django app that sends its digests by SendGrid."""
