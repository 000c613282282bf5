"""The only rooms that import redis: sockets in, replies and three kinds of error out.

A port executes words (a command and its arguments) and returns the bare reply, without the client
library's own retries: a command is sent once. ``NotSent`` means that no connection could be had,
``SocketLost`` that the server may have acted, ``Refused`` that it answered with an error. A socket
timeout is a ``SocketLost``.
"""
