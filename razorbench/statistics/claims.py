"""The paper's claims, decided on finished runs: `razorbench claims`."""

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
    """A claim with the findings of its parts."""

    name: str
    says: str
    findings: Sequence[Finding]

    @property
    def decided(self) -> bool:
        """Whether any part has a verdict in any place."""
        return any(finding.verdict.decided for finding in self.findings if not finding.beside)

    def said(self, at: str) -> str:
        """Return the verdicts of all parts in one place, counted where they differ, and how many are as expected; empty if no part is measured there."""
        parts = [finding for finding in self.findings if finding.at == at and not finding.beside]
        words = Counter(", ".join(finding.verdict.words) for finding in parts)
        verdicts = next(iter(words), "") if len(words) < 2 else "; ".join(f"{count} {word}" for word, count in words.most_common())
        return f"{verdicts} ({sum(finding.as_expected for finding in parts)} of {len(parts)} as expected)" if parts else ""

    def commands(self, prefix: str, study: str) -> list[str]:
        """Return the commands that add the missing runs and studies. prefix: starts a sweep's command; study: starts a controlled study's, before its name."""
        wanted = (run for finding in self.findings if not finding.beside for run in finding.wanted)
        return sweeps(wanted, prefix) + [f"{study}{name}" for name in dict.fromkeys(finding.study for finding in self.findings) if name]


@dataclass(frozen=True)
class Primary:
    """A primary contrast. passes: whether its predicted word passes Holm's test over all primary contrasts."""

    finding: Finding
    passes: bool


@dataclass(frozen=True)
class Claims:
    """The content of conf/study/claims2.yaml. suite, seeds: the design; primary: contrasts that a confirmation tests, each in one place."""

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
        """Test the predicted word of each primary contrast, with Holm's correction over all of them."""
        findings = [contrast.decide(evidence)[0] for contrast in self.primary]
        chances = []
        for contrast, finding in zip(self.primary, findings, strict=True):
            comparison, (word,) = contrast.measured(evidence, finding.at), contrast.expects
            margin = MEASURES[f"{contrast.by}@{finding.at}"].quantity.margin
            chances.append(1.0 if comparison.lacking else comparison.sample.p_value(word, margin))
        words = [contrast.expects[0] for contrast in self.primary]
        return [Primary(finding, passes) for finding, passes in zip(findings, holm(chances, words), strict=True)]
