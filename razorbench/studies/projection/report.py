"""Report of the projection study; every number in it is from the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from razorbench.reports.tables import markdown
from razorbench.studies.findings import Row, shown
from razorbench.studies.projection.cases import FAMILIES, UPDATES
from razorbench.studies.projection.settings import Settings

_QUESTION = """# Does learning from a binary reward end at the KL-minimal policy?

The paper (arXiv 2509.04259, section 5.2 and appendix A) reads policy gradient with a binary reward R as two alternating projections: the I-step
restricts the policy to the right answers, q = pi R / J with success J, and the M-step projects q back into the family of policies by maximum
likelihood. Proposition A.4 says that this ends at the policy of the family with J = 1 and the smallest KL(pi || pi_0) to the base pi_0. Here that
policy is known and every expectation is exact, so only the update matters. q* = pi_0 R / J_0 is the KL-minimal policy among all policies; a family
can contain it, approach it or miss it. With full support, J = 1 is a limit, so we compare policies at the same small 1 - J.
"""

_WHY = """## Why

- **R in the span of the features** (tabular policies, or R made a feature): pi_0 exp(s R) / Z lies in the family, one M-step gives its limit q*, and
  the natural gradient is the direction R itself for any step size. It also has the least KL that each J allows along its path.
- **q\\* only as a limit of members** (here: the right answers form a face of the features' convex hull): one M-step still gives q*. The natural
  gradient is R's best linear approximation under the current policy, and that also moves probability between right answers.
- **Neither** (independent heads, as robot policies have): unless the right answers are a product of sets, q* has correlated heads, and the M-step
  drops the correlation. The family is an exponential one of full support that meets J = 1 in the limit, as proposition A.4 asks, and its
  projections are exact here: it is a counter-example to the proposition.
- **Softmax gradient** (the gradient in the logits or in theta, no Fisher information): with a categorical, d/dt ln(pi_a / pi_b) =
  (pi_a - pi_b)(1 - J) for right answers a and b, so the likelier one pulls ahead and takes all in the end. This is not an artifact of large steps.

Limits: all distances are KL(pi || pi_0), the theorem's direction; the law of forgetting uses KL(pi_0 || pi), which is infinite for
q*. The bandits have one decision, and no states, sampling, clipping or neural network. An update that stays off the minimal policy may still move
less than supervised learning on other data.
"""


def report(study: Settings, tables: Mapping[str, Sequence[Row]]) -> str:
    """Write the report in Markdown from the study's settings and tables."""
    parts = [_QUESTION, _verdict(study, tables), _exact(study, tables["agreement"]), _off(study, tables), _worked(study, tables), _WHY]
    return "\n".join(parts)


def _verdict(study: Settings, tables: Mapping[str, Sequence[Row]]) -> str:
    last = [row for row in tables["distance"] if row["failure"] == study.failures[-1]]
    rows = [[family, *(_word(study, [row for row in last if (row["family"], row["update"]) == (family, update)]) for update in UPDATES)] for family in FAMILIES]
    return f"""## Verdict

{markdown(["family", *UPDATES], rows)}

*exact*: every bandit lies within {study.tolerance:g} in total variation; *stays off*: for every size, the 95% interval of the mean excess KL lies above 0;
*undecided*: neither. At 1 - J = {study.failures[-1]:g}, with {study.bandits} random bandits per family and size, seed {study.seed}.
"""


def _word(study: Settings, rows: Sequence[Row]) -> str:
    if any(row["excess_kl"] is None for row in rows):
        return "undecided"
    if all(row["off_max"] <= study.tolerance for row in rows):
        return "exact"
    return "stays off" if all(row["excess_kl_low"] > 0 for row in rows) else "undecided"


def _exact(study: Settings, agreement: Sequence[Row]) -> str:
    rows = [[row["statement"], row["families"], row["bandits"], f"{row['largest']:.1e}", "yes" if row["holds"] else "**no**"] for row in agreement]
    return f"""## Exact statements of the theory

{markdown(["statement", "families", "bandits", "largest violation", f"within {study.tolerance:g}"], rows)}

Finite steps: learning rates {_listed(study.rates)}.
"""


def _off(study: Settings, tables: Mapping[str, Sequence[Row]]) -> str:
    tables_shown = "\n".join(
        f"Excess KL at 1 - J = {failure:g}, nats:\n\n{_by_size(study, tables['distance'], failure, 'excess_kl')}\n" for failure in study.shown
    )
    limits = "; ".join(f"{row['size']}: {shown(row, 'excess_kl')}" for row in tables["limit"])
    same = "; ".join(f"{row['size']}: {shown(row, 'same')}" for row in tables["ends"])
    return f"""## Excess KL of each update

Excess KL is the KL to the base of the policy, given a right answer, minus that of the KL-minimal policy: the mean over bandits with its 95%
Student interval. Alternating projections are measured at their first iterate with this 1 - J or less, of at most {study.iterations}, the other updates
in the limit of small steps.

{tables_shown}
Share of bandits on which the policy, given a right answer, is within {study.near:g} of the KL-minimal one in total variation at 1 - J =
{study.failures[-1]:g}, with 95% Wilson intervals:

{_by_size(study, tables["distance"], study.failures[-1], "near")}

As J tends to 1, softmax gradient's excess KL in the tabular family tends to ln J_0 - ln max pi_0 over right answers, in nats: {limits}.

With independent heads, alternating projections and natural gradient end at the same policy, within {study.near:g}, in this share of bandits: {same}.

![Total variation from the KL-minimal policy along the updates](along.png)

![Excess KL at the end](ends.png)
"""


def _by_size(study: Settings, distance: Sequence[Row], failure: float, name: str) -> str:
    """Return a table of one measure at one 1 - J: families and sizes in rows, updates in columns."""
    shown = {(row["family"], row["size"], row["update"]): row for row in distance if row["failure"] == failure}
    places = dict.fromkeys((family, size) for family, size, _ in shown)
    rows = [[*place, *(_cell(study, shown[*place, update], name) for update in UPDATES)] for place in places]
    return markdown(["family", "size", *UPDATES], rows)


def _cell(study: Settings, row: Row, name: str) -> str:
    late = study.bandits - row["reached"]
    return shown(row, name) + (f" ({late} not there yet)" if late else "")


def _worked(study: Settings, tables: Mapping[str, Sequence[Row]]) -> str:
    ends = [[row["bandit"], *(f"{row[name]:.4f}" for name in ("minimal", *UPDATES))] for row in tables["worked"]]
    rates = [[row["update"], f"{row['rate']:g}", f"{row['failure']:g}", *_if_reached(row)] for row in tables["rates"]]
    return f"""## Bandits worked by hand

KL to the base at 1 - J = {study.failures[-1]:g}, nats. *tabular*: pi_0 = (.5, .3, .2), the first two answers right. *heads*: (.6, .4) x (.7, .3), all
pairs right but (second, first). *corners*: (.3, .7) x (.6, .4), right if both heads agree; there all three updates reach the minimal corner.

{markdown(["bandit", "minimal", *UPDATES], ends)}

![Paths of the three updates](paths.png)

At finite learning rates, on *tabular*: the share of the first answer among the right ones (q*: 0.625), when 1 - J first reaches the given value.

{markdown(["update", "learning rate", "1 - J", "steps", "share"], rates)}
"""


def _if_reached(row: Row) -> list[Any]:
    return ["not reached", ""] if row["steps"] is None else [row["steps"], f"{row['share']:.6f}"]


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
