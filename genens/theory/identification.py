"""The identification law: what n members can say of one image among N.

Let what member i makes of a noise be a sum over the images it trained on, and noise of its own training,

    J_i = c + sum_x b_xi a_x + e_i,    a_x, e_i in R^m,

with codes b_x of length n and weight h, drawn without replacement from all M = C(n, h), independently of a and e. The
ablation of x moves the sample by J (u_-x - u_0), and -n/h of it is the mean of the members that saw x less the mean of
those that did not: an estimate of a_x. Its errors are the other images, because codes overlap, and the members' noise.
With r_x = A_x / (sum of the others' A + noise), A the squared lengths of the effects, x stands out of them about n r_x
times (`signal_to_noise`), unless the effects share a direction and nearly all codes are in use, which helps.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
from scipy import optimize, stats

LARGEST = 1e15  # members; more are not looked for
WITHIN = (-20.0, 9.0)  # the logarithms of n r between which every threshold lies
CERTAIN = 1e4  # n r above which everything is found, and the distributions' tails are no numbers


@dataclass(frozen=True)
class Overlap:
    """Moments of the overlap rho_xz = (b_x - h/n)·(b_z - h/n) / (h (n - h) / n) of codes drawn without replacement.

    mean: E rho_xz; square: E rho_xz^2; cross: E rho_xz rho_xw, for different x, z and w. rho_xx = 1.
    """

    mean: float
    square: float
    cross: float


def overlap(n: int, h: int) -> Overlap:
    """The moments for all codes of length n and weight h. Raises ValueError unless 0 < h < n and there are three codes.

    From two identities, in which the sums run over all M codes: sum_z rho_xz = 0, because every bit is set in a share
    h / n of them, and sum_z rho_xz^2 = M / (n - 1), because permuting the bits leaves only multiples of the identity.
    """
    M = comb(n, h) if 0 < h < n else 0
    if M < 3:
        raise ValueError(f"expected 0 < h < n with at least three codes, got n = {n} and h = {h}")
    square = (M / (n - 1) - 1) / (M - 1)
    return Overlap(-1 / (M - 1), square, (1 - (M - 1) * square) / ((M - 1) * (M - 2)))


def mean_square_error(effects: np.ndarray, n: int, h: int, noise: float = 0.0) -> np.ndarray:
    """The mean over codebooks and members' noise of the squared length of the estimate of a_x less a_x: float64 (N,).

    effects (N, m): a_x; noise: the mean squared length of e_i. Exact for any effects. Raises ValueError as `overlap`,
    and for more images than codes.
    """
    effects = np.asarray(effects, dtype=np.float64)
    if len(effects) > comb(n, h):
        raise ValueError(f"expected at most C({n}, {h}) = {comb(n, h)} images, got {len(effects)}")
    moments, squares = overlap(n, h), np.square(effects).sum(axis=1)
    others = squares.sum() - squares
    together = np.square(effects.sum(axis=0) - effects).sum(axis=1)  # |sum of the others|^2
    return (moments.square - moments.cross) * others + moments.cross * together + noise * n / (h * (n - h))


def shares(effects: np.ndarray, noise: float = 0.0, density: float = 0.5) -> np.ndarray:
    """r_x = A_x / (sum of the others' A + noise / (density (1 - density))), of effects (N, m): float64 (N,).

    density: h / n. Over codes, the members' variance is density (1 - density) times the sum of A_x and the denominator.
    """
    squares = np.square(np.asarray(effects, dtype=np.float64)).sum(axis=1)
    return squares / (squares.sum() - squares + noise / (density * (1 - density)))


def signal_to_noise(effects: np.ndarray, n: int, h: int, noise: float = 0.0) -> np.ndarray:
    """A_x over `mean_square_error`, (N,), of effects (N, m): about n times `shares`; more where the effects share a
    direction and N is not far below C(n, h)."""
    return np.square(np.asarray(effects, dtype=np.float64)).sum(axis=1) / mean_square_error(effects, n, h, noise)


def dimension(gram: np.ndarray, draws: int | None = None) -> float:
    """The effective dimension (tr S)^2 / tr S^2 of noise with covariance S: how many equal directions have the same
    spread of their squared length. gram: S itself, or the Gram matrix (n, n) of `draws` = n of its draws, less their
    mean. That alone would give at most n - 1: 1 / (n - 1), by which draws that differ by chance raise tr S^2 over
    (tr S)^2, is taken off the inverse."""
    values = np.linalg.eigvalsh(np.asarray(gram, dtype=np.float64)).clip(min=0)
    inverse = np.square(values).sum() / values.sum() ** 2
    return float(1 / inverse) if draws is None else float(1 / max(inverse - 1 / (draws - 1), 1e-9))


# ---------------------------------------------------------------- being found

# The squared length of an estimate is, for an image without effect, a sum of squares of noise: over its mean, and by
# Satterthwaite's approximation, chi-square with d degrees of freedom over d, d the noise's effective dimension. With an
# effect of share r in no particular direction it is noncentral, with noncentrality d n r.


def power(n: float, r: float, N: float, d: float = 1.0, alpha: float = 0.05) -> float:
    """The probability that an image of share r is among those whose score passes a threshold which, were there no
    effects, any of N candidates would pass with probability alpha (Bonferroni). d: effective dimension of the noise.

    Raises ValueError for numbers out of range.
    """
    _check(n=n, r=r, N=N, d=d, alpha=alpha)
    return float(stats.ncx2.sf(stats.chi2.isf(alpha / N, d), d, d * n * r))


def hit(n: float, r: float, N: float, d: float = 1.0, k: int = 1) -> float:
    """The probability that an image of share r is among the k largest scores of N, the others without effect. d as in
    `power`. By quadrature; raises ValueError for numbers out of range."""
    _check(n=n, r=r, N=N, d=d, k=k)
    passed = np.geomspace(1e-3 / N, 1, 4096)  # by what share of the others its score is passed
    below = stats.ncx2.sf(stats.chi2.isf(passed, d), d, d * n * r)  # the probability of so few or fewer
    middle = np.sqrt(passed[1:] * passed[:-1])
    return float(below[0] + (stats.binom.cdf(k - 1, round(N) - 1, middle) * np.diff(below)).sum())


def members_needed(r: float, N: float, d: float = 1.0, alpha: float = 0.05, power_wanted: float = 0.8) -> float:
    """The number of members at which `power` is reached: n r is then a constant of N, d and the two levels. inf where
    there are not so many numbers. Raises ValueError as `power`."""
    _check(r=r, N=N, d=d, alpha=alpha, power_wanted=power_wanted)
    short = optimize.brentq(lambda log_nr: power(np.exp(log_nr), 1, N, d, alpha) - power_wanted, *WITHIN)
    needed = float(np.exp(short) / r)
    return needed if needed < LARGEST else np.inf


def group_needed(
    n: float,
    N: float,
    noise: float = 0.0,
    d: float = 1.0,
    alpha: float = 0.05,
    power_wanted: float = 0.8,
    aligned: bool = False,
) -> float:
    """How many of N like images must share a code for n members to see them as one: the smallest group whose power is
    reached among N / g groups, N where all of them would have to.

    All effects have one length. Those of a group's images are taken as orthogonal, so that the group's share is
    g / (N - g + noise N), or as `aligned`, as those of near copies would be, with g^2 above the line; noise is the part
    of the members' variance that is due to training, over the part due to images. Raises ValueError as `power`.
    """
    _check(n=n, N=N, d=d, alpha=alpha, power_wanted=power_wanted)

    def short(log_g: float) -> float:
        g = np.exp(log_g)
        share = (g * g if aligned else g) / max(N - g + noise * N, 1e-12)
        share = min(share, CERTAIN / n)
        return power(n, share, max(N / g, 1), d, alpha) - power_wanted

    ends = 0.0, np.log(N * (1 - 1e-9))
    if short(ends[0]) >= 0:
        return 1.0
    return float(np.exp(optimize.brentq(short, *ends))) if short(ends[1]) > 0 else float(N)


def lds(n: float, N: float, noise: float = 0.0) -> float:
    """The correlation, over random halves of N like images, of the sum of their estimated effects with that of the true
    ones: what the linear datamodeling score (Park et al. 2023) of the mean in less the mean out over n members would
    be, were the truth free of noise and additive.

    noise as in `group_needed`. Small beside 1 it grows as the square root of n / N. Raises ValueError as `power`.
    """
    _check(n=n, N=N)
    return float((1 + N / n * (1 + noise)) ** -0.5)


def decoded(n: float, N: float, noise: float = 0.0) -> float:
    """How many times the squared length of an effect is that of its error, for N like images, when the members are
    regressed on their codes by ridge regression with the best penalty: n r of `signal_to_noise` for the matched filter.

    The limit for many members and images with independent bits, the linear multiuser receiver's (Tse and Hanly 1999,
    Theorem 3.1): as the other images' effects are estimated too, an image is disturbed by a share 1 / (1 + beta) of
    them only, beta = n / (N (noise + 1 / (1 + beta))). noise as in `group_needed`; inf without noise from n = N on.
    Raises ValueError as `power`.
    """
    _check(n=n, N=N)
    if not noise >= 0:
        raise ValueError(f"expected noise of at least 0, got {noise}")
    g = n / N  # the fixed point is the positive root of noise beta^2 + (noise + 1 - g) beta - g
    if noise == 0:
        return g / (1 - g) if g < 1 else np.inf
    b = noise + 1 - g
    return float((np.sqrt(b * b + 4 * noise * g) - b) / (2 * noise))


def _check(**given: float) -> None:
    for name, value in given.items():
        if not value > 0 or (name in ("alpha", "power_wanted") and value >= 1):
            wanted = "between 0 and 1" if name in ("alpha", "power_wanted") else "above 0"
            raise ValueError(f"expected {name} {wanted}, got {value}")
