"""Options and messages shared by the commands over finished runs."""

from __future__ import annotations

import argparse
import sys

from razorbench.statistics.finished_runs import Run
from razorbench.statistics.pooling import Pool


def announced(pool: Pool) -> Pool:
    """Print the runs that are not in a pool, and return the pool."""
    by_reason: dict[str, list[Run]] = {}
    for run, why in pool.apart:
        by_reason.setdefault(why, []).append(run)
    for why, (first, *others) in by_reason.items():
        print(f"set apart: {first.folder} {why}{f'; and so {len(others)} more' if others else ''}", file=sys.stderr)
    for note in pool.notes:
        print(note, file=sys.stderr)
    return pool


def selecting(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the options that choose among runs."""
    parser.add_argument("--base", help="base policy of the runs, if the folder has several (mlp)")
    parser.add_argument("--budget", help="budget of the runs, if the folder has several (standard)")
    return pooling_options(parser)


def pooling_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the options for pooling."""
    parser.add_argument("--mixed", action="store_true", help="pool runs of different protocols, versions or base weights too, and note it")
    parser.add_argument("--config-dir", help="your own conf folder")
    return parser
