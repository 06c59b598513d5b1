"""Theorem 1, part 2: how far an encoded ensemble is, on average over assignments, from the f_e it stands for.

Both statements compare two ways of drawing one training set out of the images. The ideal f_e flips a fair coin
for each image; a member of an encoded ensemble gets the images whose code has a 1 in its column. Neither way
prefers one image to another, so all that tells them apart is the *size* of the set: binomial for the coins,
hypergeometric for the codes. With |f| <= C the bias is therefore at most C times the sum of |Hyp(s) - Bin(s)|
over the sizes s, and the function that is C where Hyp > Bin and -C elsewhere attains it.

Statement 1: N images, C(n, h) codes, C(n-1, h-1) of which are in the column. Statement 2: the ablated image holds
one code that is 0 there, so it is N - 1 images and C(n, h) - 1 codes. All values here are in units of C.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, log, log1p

import numpy as np

TRIVIAL = 2.0  # no two functions bounded by C lie further apart
KINDS = ("paper", "birthday", "diaconis-freedman", "sharp")
REACH = 10.0  # of the window, in the coins' standard deviations; see `_distance`
MAX_IMAGES = 10**12  # the window then has 10^7 sizes
MAX_PLANNED = 1000  # members; C(1000, 500) still fits a float


@dataclass(frozen=True)
class Bound:
    """An upper bound on the bias, in units of C.

    hypothesis: what it asks of (N, n, h) beyond a code for every image, in words; holds: whether that is so.
    The value is computed either way.
    """

    kind: str
    statement: int
    value: float
    hypothesis: str
    holds: bool


def bias_bound(N: int, n: int, h: int, kind: str = "sharp", statement: int = 1) -> Bound:
    """How large the bias of an encoded ensemble can be: |E f^_e - f_e| (statement 1), or without one image (2).

    kind: "paper", ln(16) (N-1)^2 / M or ln(16) N^2 / M with M = C(n, h), Theorem 1 (its hypothesis is M >= 2N);
    "birthday", N (N-1) / M: twice the union bound on two of N draws being the same code;
    "diaconis-freedman", 4N / M: their 2cN / M (1980) between draws with and without replacement from c = 2 colours; for
    statement 2, 5 (N-1) / (M-1), since the coin is then off one half by 1 / (2 (M-1)), N-1 times;
    "sharp", the sum of |Hyp - Bin|, which some f attains; needs only N <= M, and any h.
    The first three need n = 2h. The sharp one is computed to a relative error below 1e-8 (tested against rational
    arithmetic) plus 1e-20, for 5.85 billion images in a tenth of a second or so.

    Raises ValueError for an unknown kind or statement, h outside 1..n-1, N outside 1..M, n != 2h where it is needed.
    Source: paper, Theorem 1 and Section A.1; Diaconis and Freedman 1980; the sharp form is ours.
    """
    drawn = urn(N, n, h, statement)
    if kind not in KINDS:
        raise ValueError(f"expected kind as one of {', '.join(KINDS)}; got {kind!r}")
    if kind == "sharp":
        return Bound(kind, statement, _distance(*drawn), "N <= C(n, h)", True)
    if n != 2 * h:
        raise ValueError(f"expected n = 2h, which the {kind} bound needs; got n = {n}, h = {h}: take kind 'sharp'")
    M = comb(n, h)
    if kind == "paper":
        images = N - 1 if statement == 1 else N
        return Bound(kind, statement, log(16) * images**2 / M, "C(n, h) >= 2N and n = 2h", M >= 2 * N)
    if kind == "birthday":
        return Bound(kind, statement, N * (N - 1) / M, "n = 2h", True)
    value = 4 * N / M if statement == 1 else 5 * (N - 1) / (M - 1)
    return Bound(kind, statement, value, "n = 2h", True)


def members_needed(N: int, target_bias: float, kind: str = "sharp", statement: int = 1) -> int:
    """The smallest even n for which codes of weight n / 2 keep the bias of N images within `target_bias` (units of C).

    The bound's own hypothesis has to hold as well. Raises ValueError unless N >= 1 and target_bias > 0, or when more
    than 1000 members would be needed.
    """
    if N < 1 or not target_bias > 0:
        raise ValueError(f"expected N of at least 1 and a target bias above 0, got N = {N}, target {target_bias}")
    for n in range(2, MAX_PLANNED + 1, 2):
        if comb(n, n // 2) < N:
            continue
        found = bias_bound(N, n, n // 2, kind, statement)
        if found.holds and found.value <= target_bias:
            return n
    raise ValueError(f"expected a target that {MAX_PLANNED} members can meet, got {target_bias} for N = {N}")


def urn(N: int, n: int, h: int, statement: int) -> tuple[int, int, int]:
    """How many codes Theorem 1 draws, how many there are, and how many of them have a 1 in the member's column.

    Raises ValueError for an unknown statement, h outside 1..n-1, and N outside 1..C(n, h) or above 10^12.
    """
    if statement not in (1, 2):
        raise ValueError(f"expected statement 1 or 2 of Theorem 1, got {statement!r}")
    if not 1 <= h <= n - 1:
        raise ValueError(f"expected a weight h in 1..n-1, got n = {n}, h = {h}")
    M, inside = comb(n, h), comb(n - 1, h - 1)
    if not 1 <= N <= min(M, MAX_IMAGES):
        few = f"1 <= N <= C({n}, {h}) = {M}" if M <= MAX_IMAGES else f"1 <= N <= {MAX_IMAGES}"
        raise ValueError(f"expected {few}, got N = {N}: take fewer images or more members")
    return (N, M, inside) if statement == 1 else (N - 1, M - 1, inside)


def _distance(draws: int, total: int, inside: int) -> float:
    """The sum over s of |Hyp(s; total, inside, draws) - Bin(s; draws, 1/2)|.

    Only sizes within REACH standard deviations of both means are summed. By Hoeffding's inequality (1963, which he
    proves for draws without replacement too) each law has at most 2 exp(-REACH^2 / 2) < 4e-22 outside, so the sum is
    off by less than 1e-21. Inside, ln(Hyp / Bin) is built from its steps, ln((inside - s) / (total - inside - draws +
    s + 1)), and its constant from the condition that Hyp sums to one: no large log-factorials are subtracted, and a
    distance of 1e-9 has as many right digits as one of 1.
    """
    if draws == 0:
        return 0.0
    means = (draws / 2, draws * inside / total)
    reach = REACH * draws**0.5 / 2 + 1
    if abs(means[1] - means[0]) > 2 * reach:  # the windows do not even touch
        return TRIVIAL
    s = np.arange(max(0, int(min(means) - reach)), min(draws, int(max(means) + reach)) + 1)
    coins = _binomial(draws, s)
    outside = total - inside - draws  # codes left for zeros, were all the draws ones
    there = (s <= inside) & (s >= -outside)
    apart = coins[~there].sum()  # sizes that the codes cannot give
    s, coins = s[there], coins[there]
    if not len(s):
        return TRIVIAL
    # ln((inside - s) / (outside + s + 1)), to full relative precision where the two are nearly equal
    steps = np.log1p((float(inside - outside) - (2 * s[:-1] + 1)) / (float(outside) + s[:-1] + 1))
    ratio = np.concatenate([[0.0], np.cumsum(steps)])
    ratio -= ratio.max()
    excess = float(coins @ np.expm1(ratio)) - apart  # Hyp sums to one where Bin sums to 1 - apart
    if excess > -0.5:
        return float(apart + coins @ np.abs(np.expm1(ratio - log1p(excess))))
    weights = np.log(np.maximum(coins, 1e-300)) + ratio
    codes = np.exp(weights - weights.max())
    return float(apart + np.abs(codes / codes.sum() - coins).sum())


def _binomial(draws: int, s: np.ndarray) -> np.ndarray:
    """Bin(s; draws, 1/2) on a window that holds all but 1e-21 of it, built from the mode outwards."""
    logs = np.concatenate([[0.0], np.cumsum(np.log1p((draws - 2.0 * s[:-1] - 1) / (s[:-1] + 1)))])
    weights = np.exp(logs - logs.max())
    return weights / weights.sum()
