"""Does the next hours of a reference study, the most valuable runs first, starting from the committed runs, and keeps the new ones.

Repeat `python docs/make/study.py razor_core --hours 2.5` until the study is done.
"""

import argparse
import sys
from pathlib import Path

import kept_runs
from paths import KEPT, ROOT

from razorbench.commands import run


def main() -> int:
    """Restore the committed runs, do new ones, and keep them. Returns the exit code of the runs."""
    parser = argparse.ArgumentParser(description="Do the next hours of a reference study.")
    parser.add_argument("experiment", help="name of the experiment, from `razorbench list`")
    parser.add_argument("--hours", default="2.5")
    parser.add_argument("--study", type=Path, default=ROOT / "build" / "study", help="folder for the runs")
    parser.add_argument("--kept", type=Path, default=KEPT, help="folder of the committed runs")
    options = parser.parse_args()
    kept_runs.main(["restore", str(options.kept), str(options.study)])
    code = run.command(["-m", f"+experiment={options.experiment}", "--hours", options.hours, "hydra/launcher=joblib", f"results={options.study}"])
    kept_runs.main(["keep", str(options.study), str(options.kept)])
    return code


if __name__ == "__main__":
    sys.exit(main())
