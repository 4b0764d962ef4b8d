"""What the trial rule calls, by the path of this file. It is short because Python compiles it at each call."""

import os
import sys

if __package__ in (None, ""):  # under any Python 3.8 or newer, wherever it was started
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from hpo_workflow.runner.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
