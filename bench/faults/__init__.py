"""Faults on purpose, with a fixed seed: what is on disk is damaged at random, processes are killed, disks are full, and
what a user gives is nonsense. `python -m bench.faults` runs all of it and writes bench/faults.json."""
