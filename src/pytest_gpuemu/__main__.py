"""`python -m pytest_gpuemu`: the gpuemu command, where it is not on the PATH."""

from __future__ import annotations

import sys

from pytest_gpuemu.cli import main

if __name__ == "__main__":
    sys.exit(main())
