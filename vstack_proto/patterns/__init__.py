"""The patterns: one file each, beside what they share (``common``)."""
