"""Speed, shown by ratios within one run: `make bench` and `make bench-book`."""
