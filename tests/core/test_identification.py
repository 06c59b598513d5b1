"""The identification law against enumeration of all codes and codebooks, and against simulated scores."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from genens import codes, jacobians
from genens.theory import identification as law


def every_code(n, h):
    return np.array([[i in chosen for i in range(n)] for chosen in combinations(range(n), h)], dtype=float)


def overlaps(every):
    centred = every - every.mean(axis=1, keepdims=True)
    return centred @ centred.T / np.square(centred[0]).sum()


@pytest.mark.parametrize(("n", "h"), [(3, 1), (4, 2), (5, 2), (6, 3), (6, 5), (7, 3)])
def test_the_moments_of_the_overlap_are_those_over_all_pairs_and_triples_of_codes(n, h):
    rho = overlaps(every_code(n, h))
    M, found = len(rho), law.overlap(n, h)
    away = ~np.eye(M, dtype=bool)
    assert found.mean == pytest.approx(rho[away].mean(), abs=1e-12)
    assert found.square == pytest.approx(np.square(rho[away]).mean(), abs=1e-12)
    cross = [rho[0, z] * rho[0, w] for z in range(1, M) for w in range(1, M) if z != w]
    assert found.cross == pytest.approx(np.mean(cross), abs=1e-12)


@pytest.mark.parametrize(("n", "h", "N"), [(4, 2, 2), (4, 2, 4), (4, 1, 3), (5, 2, 3), (5, 3, 2)])
def test_the_mean_square_error_is_that_over_all_codebooks(n, h, N):
    """Every way of giving N images different codes, the estimate taken as the search takes it: -n/h J (u_-x - u_0)."""
    effects, every = np.random.default_rng(N).normal(size=(N, 3)) + 0.5, every_code(n, h).astype(bool)
    errors, noise = [], 0.7
    for book in permutations(range(len(every)), N):
        b = every[list(book)]
        J = b.T.astype(float) @ effects + 10.0  # (n, m), and what members have in common
        estimate = -n / h * (codes.ablations(b) - codes.uniform(n)) @ J
        errors.append(np.square(estimate - effects).sum(axis=1))
    expected = np.mean(errors, axis=0) + noise * n / (h * (n - h))  # the members' noise is independent of all this
    np.testing.assert_allclose(law.mean_square_error(effects, n, h, noise), expected, rtol=1e-10)


def test_the_estimate_is_members_with_the_image_less_members_without():
    rng = np.random.default_rng(0)
    b, J = codes.constant_weight(20, 8, 4, 0), rng.normal(size=(8, 5))
    estimate = -2 * (codes.ablations(b) - codes.uniform(8)) @ J
    for x in range(20):
        np.testing.assert_allclose(estimate[x], J[b[x]].mean(axis=0) - J[~b[x]].mean(axis=0), atol=1e-12)


def test_members_noise_is_what_it_adds_in_simulation():
    rng, n, h = np.random.default_rng(1), 8, 3
    b, effects = codes.constant_weight(1, n, h, 0), np.zeros((1, 4))
    noise = rng.normal(size=(20_000, n, 4)) * 0.5
    estimate = noise[:, b[0]].mean(axis=1) - noise[:, ~b[0]].mean(axis=1)
    measured = np.square(estimate).sum(axis=1).mean()
    assert law.mean_square_error(effects, n, h, 4 * 0.25)[0] == pytest.approx(measured, rel=0.03)


@pytest.mark.parametrize("h", [5, 10])
def test_signal_to_noise_is_the_share_times_the_number_of_members(h):
    effects = np.random.default_rng(2).normal(size=(300, 40)) * np.linspace(0.2, 3, 300)[:, None]
    noise, n = 50.0, 20
    found = law.signal_to_noise(effects, n, h, noise) / law.shares(effects, noise, h / n)
    np.testing.assert_allclose(found, n, rtol=0.06)  # n - 1 for what the images do


def test_the_dimension_counts_equal_directions():
    draws = np.random.default_rng(3).normal(size=(6, 400))
    draws -= draws.mean(axis=0)
    assert law.dimension(np.eye(5)) == pytest.approx(5) and law.dimension(np.diag([1, 1, 0])) == pytest.approx(2)
    assert 4.5 < law.dimension(draws @ draws.T) <= 5  # six draws less their mean span five directions


def test_the_dimension_of_few_draws_is_that_of_many():
    rng, scale = np.random.default_rng(3), np.sqrt([4.0, 2, 1, 1])
    found = []
    for _ in range(400):
        draws = rng.normal(size=(40, 4)) * scale
        draws -= draws.mean(axis=0)
        found.append(1 / law.dimension(draws @ draws.T, 40))
    assert 1 / np.mean(found) == pytest.approx(law.dimension(np.diag([4.0, 2, 1, 1])), rel=0.05)


def test_the_gram_matrix_and_the_covariance_have_one_dimension():
    draws = np.random.default_rng(3).normal(size=(6, 400))
    draws -= draws.mean(axis=0)
    gram = jacobians.gram(draws[None, :, None, None])[0]
    assert law.dimension(gram) == pytest.approx(law.dimension(draws.T @ draws))  # the covariance has the same


def scores(n, r, N, d, trials=4000):
    """|a + noise|^2 of an image whose effect has squared length n r times the noise's, and of N - 1 without."""
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(trials, N, d))
    noise[:, 0] += (
        np.sqrt(n * r)
        * np.sqrt(d)
        * (unit := rng.normal(size=(trials, d)))
        / np.linalg.norm(unit, axis=1, keepdims=True)
    )
    return np.square(noise).sum(axis=2)


@pytest.mark.parametrize(("n", "r", "N", "d"), [(16, 0.1, 20, 1), (16, 0.1, 20, 6), (40, 0.2, 8, 3), (4, 0.001, 10, 2)])
def test_hits_and_power_are_those_of_simulated_scores(n, r, N, d):
    found = scores(n, r, N, d)
    place = 1 + (found[:, 1:] > found[:, :1]).sum(axis=1)
    for k in (1, 3):
        low, high = stats.binomtest(int((place <= k).sum()), len(place)).proportion_ci(0.999)
        assert low < law.hit(n, r, N, d, k) < high
    passed = int((found[:, 0] > stats.chi2.isf(0.05 / N, d)).sum())
    low, high = stats.binomtest(passed, len(place)).proportion_ci(0.999)
    assert low < law.power(n, r, N, d) < high


def test_without_an_effect_a_list_is_drawn_at_random():
    assert law.power(100, 1e-12, 50, 3, 0.05) == pytest.approx(0.05 / 50)
    for N in (10, 10_000, 5_850_000_000):
        assert law.hit(100, 1e-15, N, 5, 7) == pytest.approx(7 / N, rel=0.01)


@settings(max_examples=40, deadline=None)
@given(st.floats(1e-8, 0.3), st.integers(2, 10**10), st.sampled_from([1.0, 7.5, 200.0]), st.floats(0.5, 0.99))
def test_the_planned_number_of_members_just_has_the_power(r, N, d, wanted):
    n = law.members_needed(r, N, d, 0.05, wanted)
    assert law.power(n * 1.01, r, N, d) > wanted > law.power(n * 0.99, r, N, d)
    assert law.members_needed(r / 2, N, d, 0.05, wanted) == pytest.approx(2 * n)


@settings(max_examples=30, deadline=None)
@given(st.integers(4, 64), st.integers(100, 10**9), st.sampled_from([0.0, 3.0]), st.sampled_from([1.0, 20.0]))
def test_the_planned_group_just_has_the_power(n, N, noise, d):
    g = law.group_needed(n, N, noise, d)
    assert 1 <= g <= N
    assert law.group_needed(4 * n, N, noise, d) <= g
    if 1 < g < N:
        share = g / (N - g + noise * N)
        assert law.power(n, share, N / g, d) == pytest.approx(0.8, abs=1e-3)
    copies = law.group_needed(n, N, noise, d, aligned=True)
    assert copies <= g
    if 1 < copies < N:
        assert law.power(n, copies**2 / (N - copies + noise * N), N / copies, d) == pytest.approx(0.8, abs=1e-3)


def test_seven_members_can_tell_seven_classes_and_sixteen_cannot_tell_ten_thousand_images():
    assert law.hit(7, 1 / 6, 7, 6) > 3 / 7
    assert law.hit(16, 1 / 9999, 10_000, 6) < 2 / 10_000
    assert law.members_needed(1, 100, 10) == law.members_needed(0.5, 100, 10) / 2
    assert law.members_needed(1e-300, 100, 10) == np.inf


def test_the_score_of_the_datamodel_is_that_of_simulated_ensembles_and_grows_as_a_root():
    N, n, rng = 400, 64, np.random.default_rng(5)
    found = []
    for _ in range(40):
        effects = rng.normal(size=N)
        b = rng.permuted(np.tile(np.arange(n) < n // 2, (N, 1)), axis=1)
        J = b.T @ effects + rng.normal(size=n) * np.sqrt(2.0 * N / 4)  # noise: twice all images' squared effects
        estimate = (b @ J - ~b @ J) / (n / 2)
        halves = rng.permuted(np.tile(np.arange(N) < N // 2, (200, 1)), axis=1)
        found.append(np.corrcoef(halves @ estimate, halves @ effects)[0, 1])
    assert law.lds(n, N, 2.0) == pytest.approx(np.mean(found), abs=0.04)
    assert law.lds(128, 10**6) / law.lds(32, 10**6) == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: law.overlap(4, 4), "expected 0 < h < n with at least three codes, got n = 4 and h = 4"),
        (lambda: law.overlap(2, 1), "at least three codes"),
        (lambda: law.mean_square_error(np.ones((7, 2)), 4, 2), r"at most C\(4, 2\) = 6 images, got 7"),
        (lambda: law.power(0, 0.1, 10), "expected n above 0, got 0"),
        (lambda: law.hit(3, 0.1, 10, k=0), "expected k above 0"),
        (lambda: law.members_needed(-1, 10), "expected r above 0, got -1"),
        (lambda: law.group_needed(8, 10, alpha=1.0), "expected alpha between 0 and 1, got 1.0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("n", [60, 200, 400])
def test_the_decoders_signal_to_noise_is_that_of_a_ridge_regression_on_random_codes(n, noise):
    """Simulated: like effects, codes of three quarters, the penalty that misses the true effects least."""
    rng, N, m = np.random.default_rng(n), 240, 300
    b, effects = codes.constant_weight(N, n, 3 * n // 4, 0), rng.normal(size=(N, m))
    C = (b - 0.75).T
    members = C @ effects + rng.normal(size=(n, m)) * (noise * 0.1875 * N) ** 0.5
    members -= members.mean(axis=0)
    U, size, V = np.linalg.svd(C, full_matrices=False)
    found = []
    for penalty in np.geomspace(1e-6, 1e3, 40):
        estimate = V.T @ ((size / (size**2 + penalty))[:, None] * (U.T @ members))
        share = (estimate * effects).sum() / np.square(effects).sum()  # a ridge shrinks, which no order depends on
        found.append(np.square(effects).sum() / np.square(estimate / share - effects).sum())
    expected = law.decoded(n, N, noise)
    if np.isinf(expected):
        assert max(found) > 1e6
    else:
        assert max(found) == pytest.approx(expected, rel=0.06)


def test_the_decoder_is_the_matched_filter_where_members_are_few_and_refuses_what_cannot_be():
    assert law.decoded(1, 10**6, 0.5) == pytest.approx(1e-6 / 1.5, rel=1e-3)
    assert law.decoded(10**6, 10, 0.5) == pytest.approx(10**5 / 0.5, rel=1e-3)  # nothing but training's noise is left
    assert law.decoded(100, 200, 1e-9) == pytest.approx(law.decoded(100, 200), rel=1e-6)
    for wrong in ({"n": 0, "N": 5}, {"n": 5, "N": -1}, {"n": 5, "N": 5, "noise": -0.1}):
        with pytest.raises(ValueError, match="expected"):
            law.decoded(**wrong)
