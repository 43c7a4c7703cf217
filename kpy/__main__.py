"""`python -m kpy` is `kpy`."""

import sys

from kpy.cli import main

if __name__ == "__main__":
    sys.exit(main())
