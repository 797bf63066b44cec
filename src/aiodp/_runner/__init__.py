"""Polls, executes and reports: `TaskRunner` and what it is made of."""
