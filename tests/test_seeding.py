import numpy as np

from razorbench import seeding


def test_a_row_depends_on_its_own_key_and_index_only():
    whole = seeding.uniforms(seeding.key("a"), np.arange(100), 8)
    assert np.array_equal(seeding.uniforms(seeding.key("a"), np.array([7, 3]), 8), whole[[7, 3]])
    assert np.array_equal(seeding.uniforms(seeding.key("a"), np.arange(100), 3), whole[:, :3])


def test_uniforms_are_uniform_and_uncorrelated():
    draws = seeding.uniforms(seeding.key("b"), np.arange(200_000), 4)
    assert 0.0 < draws.min() < 1e-4
    assert 1 - 1e-4 < draws.max() < 1.0
    counts = np.histogram(draws[:, 2], bins=50, range=(0, 1))[0]
    assert ((counts - 4000) ** 2 / 4000).sum() < 85.4  # chi-square, 49 degrees of freedom, 0.1%
    assert np.abs(np.corrcoef(draws.T) - np.eye(4)).max() < 0.01
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.01


def test_names_separate_streams():
    assert seeding.key("start", "lift-v1", "test") != seeding.key("start", "lift-v1", "select")
    for draw in (seeding.key, lambda *names: seeding.generator(*names).random()):
        assert draw("push", "1", "2") != draw("push", "12")
    assert seeding.generator("a", 1).random() == seeding.generator("a", 1).random()
    assert seeding.generator("a", 1).random() != seeding.generator("a", 2).random()
