"""Prints the commands of the README's block that follows ``<!-- ci: NAME -->``."""

import re
import sys
from pathlib import Path

text = Path(sys.argv[1]).read_text(encoding="utf-8")
found = re.search(rf"<!-- ci: {re.escape(sys.argv[2])} -->\s*```(?:sh|python)\n(.*?)```", text, re.S)
if found is None:
    sys.exit(f"{sys.argv[1]}: no block marked <!-- ci: {sys.argv[2]} -->")
sys.stdout.write(found[1])
