"""The conformance kit of qcore: histories and their checker, servers, workers and faults.

``history`` records what every process did, ``checker`` judges it against ``guarantees``;
``servers`` runs real Redis and Valkey servers, ``processes`` runs scripts that may be
killed at any time, and ``proxy`` stands between the two and breaks what ``plans`` says.
"""
