"""Declare relay tasks, recording sessions, segment sessions and clips in YAML; plan and apply the difference."""

__version__ = "0.1.0"
