"""The benchmark of this project's own files; the same as ``mnist-bench``."""

import sys

from mnist_export.cli.bench import main

if __name__ == "__main__":
    sys.exit(main())
