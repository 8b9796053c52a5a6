"""A line-based chat for real use across machines, see README.md."""
