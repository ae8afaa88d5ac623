"""The chaos tests' proxy does what they count on: no fault that was not asked for, and each that was."""
