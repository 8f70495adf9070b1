"""Ends a worker before it can serve; the process that starts it is left alone."""

import os
import sys

if sys.orig_argv[1:3] == ["-m", "vstack_runtime.workers"]:
    os._exit(9)
