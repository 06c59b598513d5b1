"""What was broken on purpose, and what came of it."""
