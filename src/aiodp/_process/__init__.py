"""Commands, all processes of which end when their task does, and the signals of a process.

Nothing is imported here: the library needs what it says of signals also where there is no POSIX.
"""
