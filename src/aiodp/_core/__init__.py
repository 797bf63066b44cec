"""The rules, pure: `now` is an argument; no clock, randomness, logging or I/O is known here."""
