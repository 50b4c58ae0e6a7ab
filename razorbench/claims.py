"""The paper's claims, and what finished runs say about them: `razorbench claims`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from razorbench.rules import FAILS, HOLDS, UNDEFINED, UNDERPOWERED, Evidence, Finding, Part

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True)
class Claim:
    """A claim with what its parts came to."""

    name: str
    says: str
    findings: Sequence[Finding]

    @property
    def verdict(self) -> str:
        """Does not hold if a decisive part does not; undefined parts are left aside; else holds if all others do."""
        found = {finding.verdict for finding in self.findings if not finding.beside} - {UNDEFINED}
        return FAILS if FAILS in found else UNDERPOWERED if UNDERPOWERED in found else HOLDS if found else UNDEFINED

    def commands(self, prefix: str, study: str) -> list[str]:
        """Return what would add the runs and studies that are missing. prefix: asks for a sweep; study: for a controlled study of the name that follows."""
        lacking = dict.fromkeys(wanted for finding in self.findings if not finding.beside for wanted in finding.wanted)
        seeds = _gathered(((run.base, run.demos, run.method, run.task), run.seed) for run in lacking)
        tasks = _gathered(((base, demos, method, found), task) for (base, demos, method, task), found in seeds.items())
        methods = _gathered(((base, demos, found, together), method) for (base, demos, method, found), together in tasks.items())
        commands = [
            f"{prefix} base={base} method={','.join(names)} task={','.join(together)} seed={','.join(map(str, found))}{f' demos={demos}' if demos else ''}"
            for (base, demos, found, together), names in methods.items()
        ]
        return commands + [f"{study}{name}" for name in dict.fromkeys(finding.study for finding in self.findings) if name]


@dataclass(frozen=True)
class Claims:
    """The content of conf/study/claims.yaml. suite, seeds: the runs that there should be."""

    use: ClassVar = "razorbench claims RESULTS"

    suite: str
    seeds: Sequence[int]
    claims: Mapping[str, Mapping[str, object]]

    def decide(self, evidence: Evidence) -> list[Claim]:
        """Decide every claim, in order."""
        decided = []
        for name, claim in self.claims.items():
            parts: Sequence[Part] = claim["parts"]  # type: ignore[assignment]
            decided.append(Claim(name, str(claim["says"]), [finding for part in parts for finding in part.decide(evidence)]))
        return decided


def _gathered(pairs: Iterable[tuple[K, V]]) -> dict[K, tuple[V, ...]]:
    """All values of each key, in order."""
    found: dict[K, tuple[V, ...]] = {}
    for key, value in pairs:
        found[key] = (*found.get(key, ()), value)
    return found
