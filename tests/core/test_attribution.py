"""Search through the Gram matrix against the plain Jacobian; ties, exclusions."""

from math import comb

import numpy as np
import pytest
from support import STEPS, Posterior, exogenous
from support.grams import CODES, jacobians, plain

from genens import attribution
from genens import codes as coding
from genens.jacobians import gram, jacobian, linear_counterfactual


@pytest.mark.parametrize("h", [2, 4, 7])
def test_the_gram_route_is_the_plain_jacobian_route_to_1e_10(h):
    codes, J = coding.constant_weight(min(40, comb(8, h)), 8, h, 1), jacobians()
    found = attribution.influence(gram(J), codes, block=7)
    assert found.shape == (3, len(codes)) and found.dtype == np.float64
    np.testing.assert_allclose(found, plain(J, codes), rtol=1e-10)


def test_influence_is_the_length_of_the_approximate_counterfactuals_change_in_a_real_sampler():
    members, codes = Posterior(), coding.unrank(range(6), 4, 2)
    y, J = jacobian(members, exogenous(members, 2), STEPS)
    change = linear_counterfactual(y, J, coding.ablations(codes), clamp=False) - y
    np.testing.assert_allclose(attribution.influence(gram(J), codes), change.flatten(2).norm(dim=-1).T, rtol=1e-10)


@pytest.mark.parametrize("block", [1, 7, 50, 1000])
def test_the_stream_finds_the_top_k_of_the_sorted_whole(block):
    G = gram(jacobians())
    scores = attribution.influence(G, CODES)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :12]
    top = attribution.top_k(G, CODES, 12, block=block)
    np.testing.assert_array_equal(top.rows, expected)
    np.testing.assert_array_equal(top.influence, np.take_along_axis(scores, expected, 1))
    assert set(attribution.top_k(G, CODES, 50, block=block).rows[1]) == set(range(50))


@pytest.mark.parametrize(("n", "h", "N"), [(5, 2, 9), (12, 6, 300), (13, 4, 300), (36, 18, 400), (64, 32, 400)])
def test_packed_codes_of_any_length_are_searched_as_plain_ones(n, h, N):
    rng = np.random.default_rng(n)
    columns = rng.normal(size=(3, n, 40)) + 5  # what the columns share drops out
    G, codes = columns @ columns.transpose(0, 2, 1), coding.constant_weight(N, n, h, 0)
    moves = coding.ablations(codes) - coding.uniform(n)
    plain = np.linalg.norm(moves @ columns, axis=2)
    packed = coding.pack(codes)
    np.testing.assert_allclose(attribution.influence(G, packed), plain, rtol=1e-9)
    np.testing.assert_array_equal(attribution.influence(G, packed, 7), attribution.influence(G, codes))
    top, other = (attribution.top_k(G, given, 5, block=64) for given in (packed, codes))
    np.testing.assert_array_equal(top.rows, np.argsort(-plain, axis=1, kind="stable")[:, :5])
    np.testing.assert_array_equal(top.rows, other.rows)


def test_scores_that_single_precision_cannot_tell_apart_are_in_the_right_order():
    codes = coding.constant_weight(3000, 20, 10, 0)
    tiny = np.random.default_rng(0).normal(size=(2, 20, 20)) * 1e-9
    G = np.eye(20) + tiny + tiny.transpose(0, 2, 1)
    scores = attribution.influence(G, codes)
    assert np.ptp(scores) < 1e-7 * scores.max() and len(np.unique(scores[0])) > 1000
    top = attribution.top_k(G, codes, 20, block=100)
    np.testing.assert_array_equal(top.rows, np.argsort(-scores, axis=1, kind="stable")[:, :20])


def test_a_database_on_disk_is_read_block_by_block(tmp_path, monkeypatch):
    codes = coding.scattered(range(1000), 24, 12, seed=3)
    codes.bits.tofile(tmp_path / "codes.bin")
    on_disk = coding.Packed(np.memmap(tmp_path / "codes.bin", np.uint8, "r", shape=(1000, 3)), 24, 12)
    columns = np.random.default_rng(1).normal(size=(2, 24, 30))
    G = columns @ columns.transpose(0, 2, 1)
    sizes, index = [], attribution._Tables.index
    monkeypatch.setattr(attribution._Tables, "index", lambda self, bits: sizes.append(len(bits)) or index(self, bits))
    top = attribution.top_k(G, on_disk, 4, block=128)
    assert max(sizes) == 128 and sum(sizes) == 1000
    expected = np.argsort(-attribution.influence(G, codes.unpacked()), axis=1, kind="stable")[:, :4]
    np.testing.assert_array_equal(top.rows, expected)


def test_complementary_codes_tie_to_the_last_bit_and_the_earlier_row_comes_first():
    codes = coding.unrank(range(70), 8, 4)  # every code, so every complement
    twin = coding.complements(codes)
    assert (codes[twin] == ~codes).all()
    scores = attribution.influence(gram(jacobians()), codes, block=9)
    np.testing.assert_array_equal(scores, scores[:, twin])
    for k in (10, 11):
        top = attribution.top_k(gram(jacobians()), codes, k, block=9)
        assert (top.rows[:, 0:10:2] < top.rows[:, 1:10:2]).all()


def test_repeated_images_are_those_in_several_lists():
    top = attribution.Top(np.array([[4, 1, 2], [2, 9, 4], [2, 3, 5]]), np.ones((3, 3)))
    assert attribution.repeated(top).tolist() == [2, 4] and attribution.repeated(top, 3).tolist() == [2]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda G: attribution.top_k(G, CODES, 51), r"k in 1\.\.50 \(a database of 50 images\), got 51"),
        (lambda G: attribution.top_k(G, CODES, 49, [1, 2]), r"k in 1\.\.48 .* less 2 excluded"),
        (lambda G: attribution.top_k(G, CODES, 0), "got 0"),
        (lambda G: attribution.influence(G, CODES[:, :7]), r"codes \(N, 8\), of the ensemble"),
        (lambda G: attribution.influence(G[0], CODES), r"\(B, n, n\)"),
        (
            lambda G: attribution.influence(G, coding.scattered(range(4), 9, 4, 0)),
            r"codes \(N, 8\).*got shape \(4, 9\)",
        ),
        (lambda G: attribution.top_k(G, CODES | (np.arange(50) == 7)[:, None], 3), "row 7 is held by all 8 members"),
        (lambda G: attribution.influence(G * np.nan, CODES), "got NaN"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call(gram(jacobians()))
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- what a score means


def test_the_share_of_codes_that_reach_an_influence_is_counted_over_all_of_them():
    G, every = gram(jacobians()), coding.unrank(range(comb(8, 4)), 8, 4)
    top = attribution.top_k(G, CODES, 6)
    scores = attribution.influence(G, every)
    expected = [[(scores[b] >= one * (1 - 1e-9)).mean() for one in row] for b, row in enumerate(top.influence)]
    found = attribution.by_chance(G, top, 4)
    assert (found.exact, found.codes) == (True, comb(8, 4))
    np.testing.assert_array_equal(found.p, expected)
    assert found.p[:, 0].min() >= 2 / comb(8, 4)  # the code that comes first, and the complement it ties with


def test_codes_that_are_too_many_to_count_are_drawn(monkeypatch):
    G, codes = gram(jacobians()), CODES
    top = attribution.top_k(G, codes, 20)
    exact = attribution.by_chance(G, top, 4)
    monkeypatch.setattr(attribution, "ENUMERATED", 10)
    found = attribution.by_chance(G, top, 4, draws=60)
    assert (found.exact, found.codes) == (False, 60)
    assert np.abs(found.p - exact.p).max() < 0.1 and found.p.min() >= 1 / 61
    many = np.random.default_rng(0).normal(size=(2, 40, 30))
    H = many @ many.transpose(0, 2, 1)
    drawn = attribution.by_chance(H, attribution.top_k(H, coding.constant_weight(500, 40, 20, 0), 3), 20, draws=2000)
    assert not drawn.exact and (drawn.p[:, 0] < 0.02).all() and (np.diff(drawn.p, axis=1) >= 0).all()


def test_if_codes_are_dealt_at_random_p_is_uniform():
    """What makes it a p-value: over all codes, no more than a share alpha have p of at most alpha."""
    G, every = gram(jacobians()), coding.unrank(range(comb(8, 4)), 8, 4)
    p = attribution.by_chance(G, attribution.top_k(G, every, len(every)), 4).p
    for alpha in (0.05, 0.1, 0.5):
        assert (p <= alpha).mean() <= alpha


# ---------------------------------------------------------------- codes that overlap


@pytest.mark.parametrize(("N", "n", "h"), [(30, 12, 6), (30, 12, 4), (8, 20, 10)])
def test_ridge_is_scikit_learns_regression_of_the_columns_on_the_codes(N, n, h):
    from sklearn.linear_model import Ridge

    codes, J = coding.constant_weight(N, n, h, 1), np.random.default_rng(0).normal(size=(2, n, 50))
    values = np.linalg.eigvalsh((codes - h / n).T @ (codes - h / n))[1:]
    found = attribution.influence(attribution.ridge(J @ J.transpose(0, 2, 1), codes, 0.7), codes)
    for columns, lengths in zip(J, found, strict=True):
        fit = Ridge(alpha=0.7 * values.mean()).fit(codes.T.astype(float), columns)
        np.testing.assert_allclose(lengths, h / n * np.linalg.norm(fit.coef_, axis=0), rtol=1e-9)


def test_the_penalty_is_the_one_that_predicts_left_out_columns_best():
    from sklearn.linear_model import RidgeCV

    rng = np.random.default_rng(2)
    codes = coding.constant_weight(15, 24, 12, 0)
    columns = codes.T @ rng.normal(size=(15, 30)) + 0.8 * rng.normal(size=(24, 30))
    values = np.linalg.eigvalsh((codes - 0.5).T @ (codes - 0.5))[1:]
    fit = RidgeCV(attribution.PENALTIES * values.mean()).fit(codes.T.astype(float), columns)
    found = attribution.influence(attribution.ridge((columns @ columns.T)[None], codes), codes)[0]
    np.testing.assert_allclose(found, np.linalg.norm(fit.coef_, axis=0) / 2, rtol=1e-8)


def test_of_a_whole_codebook_ridge_is_the_matched_filter_in_other_units():
    G, every = gram(jacobians()), coding.unrank(range(comb(8, 4)), 8, 4)
    filtered, regressed = (attribution.influence(g, every) for g in (G, attribution.ridge(G, every)))
    ratio = regressed / filtered
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), rtol=1e-7)


def test_ridge_finds_the_images_whose_codes_overlap_when_there_are_more_members_than_images():
    rng = np.random.default_rng(0)
    codes = coding.constant_weight(20, 40, 20, 0)
    effects = rng.normal(size=(20, 30)) * np.geomspace(1, 30, 20)[:, None]
    J = codes.T @ effects + 0.1 * rng.normal(size=(40, 30))
    G = (J @ J.T)[None]
    true = np.linalg.norm(effects, axis=1) / 2
    off = [np.abs(attribution.influence(g, codes)[0] / true - 1).max() for g in (G, attribution.ridge(G, codes))]
    assert off[1] < 0.1 < 1 < off[0]
