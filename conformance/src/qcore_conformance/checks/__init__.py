"""The checks, each a pure function from a run and its guarantees to a result.

Each rests on the spans of time in which calls took effect, so that it fails only for what is
certainly wrong, whichever way the calls were interleaved.
"""
