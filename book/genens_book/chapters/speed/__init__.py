"""How fast it is: every path beside a plain one, and beside what the machine could do."""
