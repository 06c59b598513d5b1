"""Correlations against scipy one pair at a time; the path against a polynomial whose orders are known."""

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from support.changes import MIXTURES, SHAPE, B, V, draws, made, n, walked

from genens import jacobians
from genens_book.chapters.jacobian import analysis
from genens_book.measures import stats
from genens_book.measures.stats import Interval
from genens_book.pages import ledger


def by_hand(given, b, v):
    """The four changes of one pair, written out."""
    y, J, original = (given[name][b] for name in ("y", "J", "original"))
    move = MIXTURES[v] - 1 / n
    slope = sum(move[i] * J[i] for i in range(n))
    residuals = [(-1 if MIXTURES[v][i] == 0 else 1) * (given["singles"][b, i] - original) for i in range(n)]
    return {
        "jacobian": (y + slope).clip(-1, 1) - original,
        "of_clamped": slope * (abs(y) <= 1),
        "last_step": given["last"][b, v] - original,
        "individual": sum(residuals) / n,
    }


def test_every_correlation_is_that_of_scipy_on_changes_written_out():
    given = made()
    found = analysis.compare(**given)
    for b in range(B):
        true = [given["truth"][b, v] - given["original"][b] for v in range(V)]
        changes = [by_hand(given, b, v) for v in range(V)]
        lengths = [np.linalg.norm(change) for change in true]
        np.testing.assert_allclose(found["true.size"][b], lengths, rtol=1e-5)
        for method in analysis.METHODS:
            for v in range(V):
                expected = pearsonr(changes[v][method].ravel(), true[v].ravel())[0]
                assert found[f"{method}.pearson"][b, v] == pytest.approx(expected, abs=1e-5)
            sizes = [np.linalg.norm(changes[v][method]) for v in range(V)]
            np.testing.assert_allclose(found[f"{method}.size"][b], sizes, rtol=1e-5)
            assert found[f"{method}.spearman"][b] == pytest.approx(spearmanr(sizes, lengths)[0], abs=1e-9)
            for v in range(V):
                other = pearsonr(changes[v][method].ravel(), true[(v + 1) % V].ravel())[0]
                assert found[f"{method}.null"][b, v] == pytest.approx(other, abs=1e-5)


def test_a_sample_that_is_linear_in_the_weights_is_predicted_perfectly():
    given = made()
    given["truth"] = jacobians.linear_counterfactual(given["y"], given["J"], MIXTURES).transpose(0, 1).numpy()
    found = analysis.compare(**given)
    np.testing.assert_allclose(found["jacobian.pearson"], 1, atol=1e-6)
    np.testing.assert_allclose(found["jacobian.spearman"], 1)
    summary = analysis.summary(found, seed=0)
    assert summary["jacobian"]["pearson"].value == pytest.approx(1) and summary["last_step"]["gain"].low > 0
    assert summary["last_step"]["pearson_effect"].value > 0.95 > summary["jacobian"]["pearson_effect"].value
    assert summary["jacobian"]["null_effect"].value == 1 and abs(summary["jacobian"]["null"].value) < 0.8
    assert 0.2 < summary["last_step"]["null_effect"].value < 0.8, "made up without a thought of the truth"
    length = summary["jacobian"]["length"]
    assert (length.low, length.value, length.high) == pytest.approx((1, 1, 1), abs=1e-6)
    assert (
        summary["last_step"]["wins"] == found["true.size"].size and summary["jacobian"]["wins"] == 0
    )  # none above itself
    found["jacobian.size"] = found["jacobian.size"] * 2
    found["true.size"][0, 0] = 0  # a pair without a true change has no multiple of it
    length = analysis.summary(found, seed=0)["jacobian"]["length"]
    assert (length.low, length.value, length.high) == pytest.approx((2, 2, 2), abs=1e-6)


def test_a_change_that_is_the_same_everywhere_correlates_with_nothing():
    rng = np.random.default_rng(0)
    true, approximate = rng.normal(size=(3, *SHAPE)), rng.normal(size=(3, *SHAPE))
    approximate[1] = 0.5
    found = analysis.agree(true, approximate)
    assert found["pearson"][1] == 0 and (found["pearson"][[0, 2]] != 0).all()


def test_samples_or_counterfactuals_that_do_not_fit_are_refused():
    given = made()
    with pytest.raises(ValueError, match=r"3 samples with 5 counterfactuals everywhere; got truth \(3, 4\)"):
        analysis.compare(**given | dict(truth=given["truth"][:, :4]))
    with pytest.raises(ValueError, match=r"J \(2, 5\)"):
        analysis.compare(**given | dict(J=given["J"][:2]))


def test_fewer_members_are_measured_against_the_exact_jacobian():
    given, drawn = draws()
    truth = jacobians.linear_counterfactual(given["y"], given["J"], MIXTURES).transpose(0, 1).numpy()
    rows = analysis.rotation(drawn, truth, given["original"], MIXTURES, seed=0)
    assert [row["per_step"] for row in rows] == [0, 1, n] and [row["seconds"] for row in rows] == [1, 2, n + 1]
    exact = rows[-1]
    assert exact["error"].value == 0 and exact["cosine"].value == pytest.approx(1)
    assert exact["pearson"].value == pytest.approx(1, abs=1e-6) and exact["pearson_loss"].high == 0
    centred = [drawn[k]["jacobian"] - drawn[k]["jacobian"].mean(axis=1, keepdims=True) for k in (0, n)]
    errors = [np.linalg.norm(centred[0][b] - centred[1][b]) / np.linalg.norm(centred[1][b]) for b in range(B)]
    assert rows[0]["error"].value == pytest.approx(np.mean(errors), rel=1e-5)
    assert rows[0]["pearson_loss"].value == pytest.approx(1 - rows[0]["pearson"].value, abs=1e-6)
    assert [analysis.fewest(rows, tolerance) for tolerance in (1e-3, 2.0)] == [1, 0]
    with pytest.raises(ValueError, match="per_step = 5, the exact Jacobian"):
        analysis.rotation({k: drawn[k] for k in (0, 1)}, truth, given["original"], MIXTURES, seed=0)


def test_differences_are_measured_against_forward_mode():
    given, drawn = draws()
    truth = jacobians.linear_counterfactual(given["y"], given["J"], MIXTURES).transpose(0, 1).numpy()
    found = analysis.tangents(drawn[0], drawn[n], truth, given["original"], MIXTURES, seed=0)
    centred = [drawn[k]["jacobian"] - drawn[k]["jacobian"].mean(axis=1, keepdims=True) for k in (0, n)]
    errors = [np.linalg.norm(centred[0][b] - centred[1][b]) / np.linalg.norm(centred[1][b]) for b in range(B)]
    assert found["error"].value == pytest.approx(np.median(errors), rel=1e-5)
    assert found["pearson"].value < 0 and found["seconds"] == pytest.approx(1 / (n + 1))
    same = analysis.tangents(drawn[n], drawn[n], truth, given["original"], MIXTURES, seed=0)
    assert same["error"].value == 0 and same["pearson"].value == 0 and same["seconds"] == 1


def test_the_default_is_the_fewest_members_at_which_neither_correlation_loses_more_than_allowed():
    rows = [
        {"per_step": k, "pearson_loss": Interval(0, -0.1, pearson, 8), "spearman_loss": Interval(0, -0.1, spearman, 8)}
        for k, pearson, spearman in ((0, 0.5, 0.5), (1, 0.01, 0.03), (2, 0.03, 0.01), (4, 0.01, 0.01), (16, 0, 0))
    ]
    assert [analysis.fewest(rows, tolerance) for tolerance in (0.0, 0.02, 0.03, 0.6)] == [16, 4, 1, 0]


def test_errors_along_a_polynomial_have_the_orders_of_their_series():
    shares = [1e-4, 2e-4, 4e-4, 1.0]
    given, third = walked(shares)
    found = analysis.along(given, shares, given["first"] + 0.1 * third)
    for name, order in {"rotating": 1, "linear": 2, "quadratic": 3}.items():
        interval = analysis.orders(found[name]["error"], shares, 3, seed=0)
        assert interval.value == pytest.approx(order, abs=0.02) and interval.n == B
    whole = np.linalg.norm((given["true"][1, 0, -1] - given["start"][1]).ravel())
    assert found["quadratic"]["error"][1, 0, -1] == pytest.approx(np.linalg.norm(third[1, 0].ravel()) / whole)
    end, start = (a.clip(-1, 1) for a in (given["true"][1, 0, -1], given["start"][1]))
    predicted = (given["start"][1] + given["first"][1, 0]).clip(-1, 1)
    expected = pearsonr((predicted - start).ravel(), (end - start).ravel())[0]
    assert found["linear"]["pearson"][1, 0, -1] == pytest.approx(expected)
    means = analysis.by_share(found, seed=0)
    assert means["linear"]["error"][-1].value == pytest.approx(np.median(found["linear"]["error"][..., -1]))
    gained = analysis.gained(found["linear"]["error"], found["quadratic"]["error"], seed=0)
    assert gained.value == pytest.approx((found["linear"]["error"] - found["quadratic"]["error"])[..., -1].mean())


def test_the_released_codes_jacobian_is_scored_like_the_others():
    given = made()
    found = analysis.compare(**given)
    exact = {"y": given["y"][:2], "jacobian": given["J"][:2]}
    score = analysis.of_the_papers_code(exact, given["truth"], given["original"], given["mixtures"], 0)
    for name in ("pearson", "spearman"):
        expected = found[f"of_clamped.{name}"].reshape(len(given["y"]), -1)[:2].mean()
        assert score[name].value == pytest.approx(expected, abs=1e-6) and score[name].n == 2


def summary_of(log10_p, n_a):
    test = stats.MannWhitney(1.0, log10_p, 0.9, n_a, n_a)
    middle = Interval(0.5, 0.4, 0.6, 48)
    rest = {"pearson_test": test, "spearman_test": test, "pearson_effect": middle, "spearman_effect": middle}
    return {
        method: {"pearson": middle, "spearman": middle, "null_effect": middle, **rest} for method in analysis.METHODS
    }


def test_every_claim_of_a_dataset_gets_its_number_and_impossible_p_values_are_not_held_against_the_run():
    book = ledger.claims()
    enough = analysis.records(book, "mnist", summary_of(-170.0, 2304), 48, 48, 16)
    assert enough["f5a-utest-last-step-mnist"] == {"value": -170.0, "n": 48}
    assert enough["f5a-approximates-mnist"]["value"].low == 0.4 and enough["s3.3-samples-mnist"]["value"] == 48
    assert enough["f5d-higher-individual-mnist"]["value"].high == 0.6  # the verdict goes by the size of the effect
    few = analysis.records(book, "mnist", summary_of(-15.0, 48), 48, 48, 16)
    assert "cannot give a p-value below 10^-17" in few["f5d-utest-individual-mnist"]["value"].reason
    photographs = analysis.records(book, "cifar10", summary_of(-170.0, 8192), 128, 64, 20)
    assert photographs["f5b-utest-last-step-cifar10"]["value"] == -170.0
    by_name = {"s2.4-second-order", "s2.4-forward-passes", "b3-pytorch"}  # the chapter records these one by one
    ours = {id for id, claim in book.items() if claim.chapter == "05_jacobian"} - by_name
    for dataset in ("mnist", "cifar10", "celeba"):
        theirs = {id for id in ours if book[id].dataset == dataset}
        assert theirs <= analysis.records(book, dataset, summary_of(-15.0, 48), 48, 48, 16).keys()


@pytest.mark.parametrize("dataset", ["cifar10", "celeba"])
def test_the_commands_for_other_datasets_have_the_papers_numbers_and_a_training_before(dataset):
    book = ledger.claims()
    for id in analysis.records(book, dataset, summary_of(-15.0, 48), 48, 48, 20):
        command = book[id].command
        samples, V, n = (
            book[f"{what}-{dataset}"].value for what in ("s3.3-samples", "s3.3-counterfactuals", "s3.2-members")
        )
        assert "genens.train" in command and "-p steps 1000 " in command and f"-p per_step {n}" in command
        assert f" {samples} -p n_counterfactuals {V} " in command


def test_the_least_p_value_is_that_of_two_groups_without_overlap():
    apart = stats.mann_whitney(np.arange(100, 112), np.arange(12), "greater")
    assert analysis.least_log10_p(12) == apart.log10_p < stats.mann_whitney([1, 3], [0, 2], "greater").log10_p


def test_the_way_of_a_jacobian_is_its_product_with_the_change_of_the_weights():
    J = made()["J"]
    found = analysis.slopes(J, MIXTURES)
    for b in range(B):
        for v, mixture in enumerate(MIXTURES):
            np.testing.assert_allclose(found[b, v], sum((mixture[i] - 1 / n) * J[b, i] for i in range(n)), atol=1e-6)


def test_torch_and_numpy_give_the_same():
    given = made()
    tensors = {name: torch.from_numpy(value) if name != "mixtures" else value for name, value in given.items()}
    mixed = analysis.images(*(tensors[k] for k in ("y", "J", "mixtures", "last", "singles", "original")))
    for name, images in analysis.images(
        *(given[k] for k in ("y", "J", "mixtures", "last", "singles", "original"))
    ).items():
        torch.testing.assert_close(images, mixed[name])
