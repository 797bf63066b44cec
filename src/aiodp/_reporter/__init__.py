"""Keeps tasks alive: `ProgressReporter` and what it is made of."""
