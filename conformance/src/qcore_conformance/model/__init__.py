"""A model of a queue that knows every result that is allowed, and machines that play against it.

``order`` and ``entries`` say where a job may stand and what it may do by itself, ``queue`` judges
answers: pure, told the time. ``machine`` and ``listening`` make up sequences of calls for adapters
that store and for those that only reach listeners; ``play`` runs them and tells the shortest
sequence that failed.
"""
