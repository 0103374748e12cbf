"""The record room's logic: the tree, the seal, checkpoints, segment files, the verifier, and the timeline read from it.

`verify` shares nothing with what writes the log but SHA-256, and reads what vouches for it by itself (`vouching`).
"""
