"""`python -m aiodp` is the command line."""

import sys

from aiodp.cli import main

if __name__ == "__main__":
    sys.exit(main())
