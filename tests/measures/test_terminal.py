"""What long work says reaches the notebook and the terminal."""

import io
import sys

from genens_book.measures import terminal


def test_what_is_announced_reaches_the_notebook_and_the_terminal(tmp_path, monkeypatch):
    class Kernel(io.StringIO):
        pass

    screen = (tmp_path / "terminal").open("w")
    kernel = Kernel()
    kernel._original_stdstream_copy = screen.fileno()
    monkeypatch.setattr(sys, "stderr", kernel)
    with terminal.announced() as out:
        print("an hour", file=out)
        print("1 of 2", file=sys.stderr)
    assert sys.stderr is kernel and kernel.getvalue() == "an hour\n1 of 2\n"
    assert (tmp_path / "terminal").read_text() == "an hour\n1 of 2\n"
    screen.close()  # raises if `announced` had closed it
    monkeypatch.setattr(sys, "stderr", plain := io.StringIO())
    with terminal.announced() as out:
        assert out is plain
