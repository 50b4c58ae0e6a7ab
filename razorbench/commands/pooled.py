"""Options and messages that the commands over finished runs share."""

from __future__ import annotations

import argparse
import sys

from razorbench.statistics.finished_runs import Run
from razorbench.statistics.pooling import Pool


def announced(found: Pool) -> Pool:
    """Return the pool again, having said what is not in it."""
    by_reason: dict[str, list[Run]] = {}
    for run, why in found.apart:
        by_reason.setdefault(why, []).append(run)
    for why, (first, *others) in by_reason.items():
        print(f"set apart: {first.folder} {why}{f'; and so {len(others)} more' if others else ''}", file=sys.stderr)
    for note in found.notes:
        print(note, file=sys.stderr)
    return found


def selecting(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the options that choose among runs."""
    parser.add_argument("--base", help="base policy of the runs, where they are of several (mlp)")
    parser.add_argument("--budget", help="budget of the runs, where they are of several (standard)")
    return pooling_options(parser)


def pooling_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the options that say what may be averaged."""
    parser.add_argument("--mixed", action="store_true", help="pool runs of several protocols, versions or bases' weights too, and say so")
    parser.add_argument("--config-dir", help="your own conf folder")
    return parser
