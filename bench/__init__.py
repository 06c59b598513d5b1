"""Speed against plain references, in one run: `make bench`, `bench-engines`, `bench-book`, `bench-explorer`; and how
the laptop's network was chosen (networks.py)."""
