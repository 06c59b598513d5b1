"""Decoders find what is there: effects that add up, at any number of members, and fewer than images only roughly."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from genens import attribution, jacobians
from genens import codes as coding
from genens_book.chapters.finetunes import estimators as est

N, n = 24, 60


def additive(noise=0.0, h=45, n=n):
    rng = np.random.default_rng(0)
    codes = coding.constant_weight(N, n, h, 0)
    effects = rng.normal(size=(N, 50)) * rng.uniform(0.5, 2, (N, 1))
    values = 3 + codes.T @ effects + noise * rng.normal(size=(n, 50))
    return codes, effects, torch.from_numpy(values)


def test_ridge_with_no_penalty_is_least_squares_with_an_intercept():
    codes, _, values = additive(noise=0.5)
    design = np.column_stack([np.ones(n), codes.T])
    expected = np.linalg.lstsq(design, values.numpy(), rcond=None)[0][1:]
    decoder = est.ridge(codes, est.products(values), penalty=1e-12)
    np.testing.assert_allclose(decoder.sum(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(est.decoded(decoder, values), expected, rtol=1e-6, atol=1e-8)


def test_effects_that_add_up_are_decoded_exactly_and_the_matched_filter_sees_them_through_the_overlap():
    codes, effects, values = additive()
    found = est.decoded(est.ridge(codes, est.products(values)), values).numpy()
    np.testing.assert_allclose(found, effects, rtol=0, atol=2e-3)
    filtered = est.decoded(est.matched(codes), values).numpy()
    assert 0.3 < np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(filtered, effects, strict=True)]) < 0.95


def test_the_penalty_is_the_one_that_predicts_left_out_members_best():
    """Against a loop that leaves each member out."""
    codes, _, values = additive(noise=6.0, n=30, h=22)
    C = (codes - codes.mean(axis=1, keepdims=True)).T
    scale = np.square(np.linalg.svd(C, compute_uv=False)).mean()

    def missed(penalty):
        total = 0.0
        for i in range(30):
            keep = np.arange(30) != i
            X = C[keep] - C[keep].mean(axis=0)
            Y = values.numpy()[keep]
            beta = np.linalg.solve(X.T @ X + penalty * scale * np.eye(N), X.T @ (Y - Y.mean(axis=0)))
            total += np.square(Y.mean(axis=0) + (C[i] - C[keep].mean(axis=0)) @ beta - values.numpy()[i]).sum()
        return total

    best = min(est.PENALTIES, key=missed)
    taken = est.ridge(codes, est.products(values))
    around = [best * step for step in (10**-0.25, 1, 10**0.25)]
    assert any(np.allclose(taken, est.ridge(codes, est.products(values), penalty)) for penalty in around)


def test_ridge_of_codes_of_one_weight_is_the_core_s():
    rng = np.random.default_rng(2)
    codes = coding.constant_weight(40, 16, 12, 0)  # more images than members
    J = torch.from_numpy(rng.normal(size=(1, 16, 1, 5, 5)))
    core = attribution.influence(attribution.ridge(jacobians.gram(J), codes, 0.3), codes)[0]
    decoder = est.ridge(codes, np.eye(16), 0.3)
    found = est.decoded(decoder, J[0].flatten(1)).norm(dim=1).numpy() * 12 / 16
    np.testing.assert_allclose(found, core, rtol=1e-6)


def test_a_group_lasso_keeps_few():
    rng = np.random.default_rng(1)
    codes = coding.constant_weight(40, 30, 22, 0)  # fewer members than images
    effects = np.zeros((40, 20))
    effects[[3, 17]] = rng.normal(size=(2, 20))
    found = est.sparse(codes, codes.T @ effects)
    sizes = np.linalg.norm(found, axis=1)
    assert {*np.argsort(-sizes)[:2]} == {3, 17} and (sizes > 1e-3 * sizes.max()).sum() < 12


def test_scores_of_scores():
    true = np.array([[3.0, 1], [2, 2], [1, 3], [0, 0]])
    assert est.hit(true, true).tolist() == [1, 1]
    assert est.hit(true[::-1], true, 2).tolist() == [0.5, 0.5] or est.hit(true[::-1], true).tolist() == [0, 0]
    changes = torch.randn(4, 2, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    assert est.cosine(2 * changes, changes) == pytest.approx([1, 1])
    assert est.norms(changes)[1, 0] == pytest.approx(changes[1, 0].norm().item())
    assert spearmanr(est.norms(changes)[:, 0], est.norms(3 * changes)[:, 0])[0] == pytest.approx(1)


def test_decoys_get_what_a_regression_with_them_in_an_images_place_gives():
    rng = np.random.default_rng(3)
    every = coding.constant_weight(12, 8, 6, 0)
    mine, others, values = every[:7], every[7:], rng.normal(size=(8, 5))
    lengths, theirs = est.decoys(mine, values @ values.T, others, 0.3)
    assert lengths.shape == (7,) and theirs.shape == (7, 5)
    for x in range(7):
        np.testing.assert_allclose(lengths[x], plain_ridge(mine, values, 0.3)[x], rtol=1e-9)
        for k in range(5):
            instead = mine.copy()
            instead[x] = others[k]
            np.testing.assert_allclose(theirs[x, k], plain_ridge(instead, values, 0.3)[x], rtol=1e-9)


def plain_ridge(codes, values, penalty):
    """The squared lengths of the coefficients, by the normal equations of the images."""
    C = codes.T - codes.mean(axis=1)
    size = np.square(C).sum() / min(len(C) - 1, C.shape[1])
    fit = np.linalg.solve(C.T @ C + penalty * size * np.eye(C.shape[1]), C.T @ (values - values.mean(axis=0)))
    return np.square(fit).sum(axis=1)
