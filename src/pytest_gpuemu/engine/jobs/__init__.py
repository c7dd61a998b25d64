"""What needs NumPy or runs a reference, done for the daemon in a worker's process.

__main__.py: the process, and which job does what. cases.py: drawing cases. judging.py: judging an output.
campaigns.py: the cases of a campaign whose op the daemon runs, and what each came to. minimizing.py: the
smallest case that fails. The ops under test run in processes of their own (../op_host.py).
"""
