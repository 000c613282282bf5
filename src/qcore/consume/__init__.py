"""What happens above the seam, once for all adapters.

Group commit (``commit``), the reserve loop (``reserve``), heartbeats (``keeper``), what a
delivery may do (``delivery``), and the sessions that tie them to a backend in either colour.
"""
