"""The paper's claims, and what finished runs say about them: `razorbench claims`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from razorbench.statistics.claim_rules import Contrast, Evidence, Finding, Part
from razorbench.statistics.comparison import MEASURES
from razorbench.statistics.missing_runs import sweeps
from razorbench.statistics.verdicts import holm


@dataclass(frozen=True)
class Claim:
    """A claim with what its parts came to."""

    name: str
    says: str
    findings: Sequence[Finding]

    @property
    def decided(self) -> bool:
        """Whether any of its parts has a verdict anywhere."""
        return any(finding.verdict.decided for finding in self.findings if not finding.beside)

    def said(self, at: str) -> str:
        """Return the words of its parts in one place, with their number where they differ, and how many are as expected; empty if none is measured there."""
        parts = [finding for finding in self.findings if finding.at == at and not finding.beside]
        words = Counter(", ".join(finding.verdict.words) for finding in parts)
        told = next(iter(words), "") if len(words) < 2 else "; ".join(f"{count} {word}" for word, count in words.most_common())
        return f"{told} ({sum(finding.as_expected for finding in parts)} of {len(parts)} as expected)" if parts else ""

    def commands(self, prefix: str, study: str) -> list[str]:
        """Return what would add the runs and studies that are missing. prefix: asks for a sweep; study: for a controlled study of the name that follows."""
        wanted = (run for finding in self.findings if not finding.beside for run in finding.wanted)
        return sweeps(wanted, prefix) + [f"{study}{name}" for name in dict.fromkeys(finding.study for finding in self.findings) if name]


@dataclass(frozen=True)
class Primary:
    """A primary contrast. passes: whether the word that it predicts passes Holm's test among all of them."""

    finding: Finding
    passes: bool


@dataclass(frozen=True)
class Claims:
    """The content of conf/study/claims2.yaml. suite, seeds: the runs that there should be; primary: contrasts that a confirmation tests, each in one place."""

    use: ClassVar = "razorbench claims RESULTS"

    suite: str
    seeds: Sequence[int]
    status: str
    primary: Sequence[Contrast]
    claims: Mapping[str, Mapping[str, object]]

    def decide(self, evidence: Evidence) -> list[Claim]:
        """Decide every claim, in order."""
        decided = []
        for name, claim in self.claims.items():
            parts: Sequence[Part] = claim["parts"]  # type: ignore[assignment]
            decided.append(Claim(name, str(claim["says"]), [finding for part in parts for finding in part.decide(evidence)]))
        return decided

    def confirm(self, evidence: Evidence) -> list[Primary]:
        """Test the primary contrasts, each for the word that it predicts, with Holm's correction over all of them."""
        findings = [contrast.decide(evidence)[0] for contrast in self.primary]
        chances = []
        for contrast, finding in zip(self.primary, findings, strict=True):
            found, (word,) = contrast.measured(evidence, finding.at), contrast.expects
            margin = MEASURES[f"{contrast.by}@{finding.at}"].quantity.margin
            chances.append(1.0 if found.lacking else found.sample.p_value(word, margin))
        words = [contrast.expects[0] for contrast in self.primary]
        return [Primary(finding, passes) for finding, passes in zip(findings, holm(chances, words), strict=True)]
