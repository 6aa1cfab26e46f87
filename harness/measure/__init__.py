"""Timing one half of a block: one backend, one setting, in a process of its own. A session plays; here it is timed."""
