"""Adapters of array libraries, for use outside of a campaign: pytorch.py and jax.py."""
