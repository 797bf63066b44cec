"""`python -m aiodp` is the command line."""

import sys

from _aiodp_command import main

if __name__ == "__main__":
    sys.exit(main())
