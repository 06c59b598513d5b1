"""Speed, shown by ratios within one run; see the README's section on benchmarks."""
