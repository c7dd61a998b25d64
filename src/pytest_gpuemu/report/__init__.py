"""Reports of a session for other programs and for browsers: JSON, HTML, SARIF, GitHub's annotations.

Built from plain values, which travel from xdist's workers; nothing here knows pytest.
"""
