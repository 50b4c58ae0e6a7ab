"""Cells, numbers, intervals and names of the report."""

import itertools

import pytest

from razorbench.reports.drawing import _apart
from razorbench.reports.tables import Links, Table, plain, slug
from razorbench.statistics.suite_score import Alone
from razorbench.store.estimate import Estimate, Undefined, between, number


def test_cells_and_csv():
    table = Table(
        "t", "T", ("a", "b"), [("=1+1", Estimate(0.5, 0.25, 0.75)), ("x", Alone(0.1, "one run")), ("y", Undefined("no run")), ("z", Links([("f", "g")]))]
    )
    texts = [[cell.text for cell in row] for row in table.cells()]
    assert texts[0] == ["=1+1", "0.50 [0.25, 0.75]"]
    assert texts[1][1] == "0.10 (no interval: one run)"
    assert texts[2][1] == "undefined: no run"
    assert table.cells()[2][1].order == ""
    assert table.csv().splitlines() == ["a,b,b low,b high", "'=1+1,0.5,0.25,0.75", "x,0.1,,", "y,undefined: no run,,", "z,g,,"]


@pytest.mark.parametrize(("value", "text"), [(0.0, "0.00"), (-0.001, "-0.001"), (-0.0, "0.00"), (0.125, "0.12"), (12345.6, "12,346"), (3.2e-7, "3.2e-07")])
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_intervals_are_written_in_one_form():
    assert str(Estimate(0.004, -0.0001, 0.008)) == "0.004 [0.000, 0.008]"
    assert Estimate(0.004, -0.0001, 0.996).text(decimals=3) == "0.004 [0.000, 0.996]"
    assert Estimate(0.5, -0.001, 0.996).line() == "0.500  95% 0.00 to 1.00"
    assert between(-0.001, 0.996) == "0.00 to 1.00"


def test_names_of_files_and_texts():
    assert slug("pareto", "../a b/C") == "pareto-a_b_c"
    assert plain("a\x00b\ud800\n") == "a\ufffdb\ufffd\n"


def test_labels_keep_apart():
    found = _apart([0.5, 0.5, 0.51, 0.99, 0.99], 0.1, 0.05, 0.95)
    assert all(b - a > 0.0999 for a, b in itertools.pairwise(found))
    assert found[-1] <= 0.95
