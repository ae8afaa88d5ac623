"""What the ready-made templates load."""
