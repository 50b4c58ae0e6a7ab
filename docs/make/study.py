"""Does the next hours of a reference study, in order of value, from the runs that are kept, and keeps those that it adds.

`python docs/make/study.py razor_core --hours 2.5`, again and again until it is done.
"""

import argparse
import sys
from pathlib import Path

import kept_runs
from paths import KEPT, ROOT

from razorbench.commands import run


def main() -> int:
    """Restore what is kept, do runs, and keep what is new; returns the exit code of the runs."""
    parser = argparse.ArgumentParser(description="Do the next hours of a reference study.")
    parser.add_argument("experiment", help="its name, as `razorbench list` has it")
    parser.add_argument("--hours", default="2.5")
    parser.add_argument("--study", type=Path, default=ROOT / "build" / "study", help="folder in which the runs are made")
    parser.add_argument("--kept", type=Path, default=KEPT, help="folder of the runs that are kept")
    options = parser.parse_args()
    kept_runs.main(["restore", str(options.kept), str(options.study)])
    code = run.command(["-m", f"+experiment={options.experiment}", "--hours", options.hours, "hydra/launcher=joblib", f"results={options.study}"])
    kept_runs.main(["keep", str(options.study), str(options.kept)])
    return code


if __name__ == "__main__":
    sys.exit(main())
