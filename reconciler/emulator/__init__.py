"""The vendors' APIs on one loopback port, from specs/: for tests, demonstrations, and trying a plan before it is real."""
