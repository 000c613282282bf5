"""Torture: load by many workers while they and their broker are broken, and a verdict over it all.

In go a harness and a plan of so many seconds; out comes a ``Toll`` for each round: what was done,
what was broken, what the checker says. ``schedule`` decides what is broken when, ``crowd`` is what
the workers do, ``arena`` breaks and mends, ``toll`` counts, ``rounds`` puts them together.
"""
