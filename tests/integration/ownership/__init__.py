"""State machines over leases and claims: what each statement must do, predicted by a model and asked of PostgreSQL.

The model's methods change it and return what the statement must return; a rule calls both and compares. After each rule
the tables are compared with the model, and with what was seen before: the model cannot excuse a fence that failed.
"""
