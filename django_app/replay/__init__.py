"""`pgsupervise replay`: real events through real workers in event time, and an audit of what arrived."""
