"""Several processes: who does what, and that what they find together is what one finds alone, to the last bit."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from genens import attribution, ranks
from genens import codes as coding


def torchrun(script: str, processes: int, *arguments: object) -> None:
    """Run some lines of Python in so many processes that torchrun starts."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    done = subprocess.run([*command, script, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def problem(N: int):
    """Gram matrices of three samples and a database in which codes tie: complements are in it."""
    columns = np.random.default_rng(0).normal(size=(3, 10, 4))
    return columns @ columns.swapaxes(1, 2), coding.constant_weight(N, 10, 5, 0)


SEARCH = """
import sys
import numpy as np
from genens import attribution, ranks
from test_ranks import problem

with ranks.group():
    rank, size = ranks.here()
    for N, k, excluded, block in ((200, 7, None, 16), (200, 190, [3, 4, 199], 16), (9, 8, None, 4096)):
        gram, codes = problem(N)
        top = attribution.top_k(gram, codes, k, excluded, block)
        np.savez(f"{sys.argv[1]}/{N}-{k}-{rank}.npz", rows=top.rows, influence=top.influence)
"""


def test_a_sharded_search_finds_what_one_process_finds(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
    script = tmp_path / "search.py"
    script.write_text(SEARCH)
    torchrun(str(script), 3, tmp_path)
    for N, k, excluded in ((200, 7, None), (200, 190, [3, 4, 199]), (9, 8, None)):
        alone = attribution.top_k(*problem(N), k, excluded)
        for rank in range(3):
            found = np.load(tmp_path / f"{N}-{k}-{rank}.npz")
            np.testing.assert_array_equal(found["rows"], alone.rows)
            np.testing.assert_array_equal(found["influence"], alone.influence)


CHUNKS = """
import sys
import numpy as np
from genens import ranks, store
from test_ranks import squares

with ranks.group():
    found = store.chunked(squares, 7, 2, power=2)
    np.savez(f"{sys.argv[1]}/{ranks.here()[0]}.npz", **found)
"""


def squares(indices: range, power: int):
    return {"y": np.array(indices) ** power, "by": np.full(len(indices), ranks.here()[0])}


def test_chunks_are_shared_out_and_all_have_them_all(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    (tmp_path / "chunks.py").write_text(CHUNKS)
    torchrun(str(tmp_path / "chunks.py"), 2, tmp_path)
    for rank in range(2):
        found = np.load(tmp_path / f"{rank}.npz")
        assert found["y"].tolist() == [0, 1, 4, 9, 16, 25, 36] and found["by"].tolist() == [0, 0, 1, 1, 0, 0, 1]


def test_work_is_dealt_and_nothing_is_left_or_done_twice(monkeypatch):
    assert ranks.here() == (0, 1) and ranks.mine("abcde") == "abcde"
    dealt = []
    for rank in range(3):
        monkeypatch.setattr(ranks, "here", lambda rank=rank: (rank, 3))
        dealt += ranks.mine("abcde")
    assert sorted(dealt) == list("abcde")


@pytest.mark.parametrize(
    ("rank", "name", "wanted"),
    [("2", "cuda", "cuda:2"), ("2", "cpu", "cpu"), ("2", "cuda:0", "cuda:0"), (None, "cuda", "cuda")],
)
def test_a_process_has_a_gpu_of_its_own(monkeypatch, rank, name, wanted):
    if rank:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert ranks.device(name) == wanted
