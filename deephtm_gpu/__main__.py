"""`python -m deephtm_gpu` is the same program as `deephtm`."""

import sys

from deephtm_gpu.cli.main import main

sys.exit(main())
