"""Three Redis designs behind qcore's seam: reliable list, stream with a consumer group, Pub/Sub.

``keys`` holds the data model key by key, ``scripts`` the Lua, ``programs`` the operations written
once, ``ports`` the only code that imports redis, ``embedded`` a private server without install.
"""
