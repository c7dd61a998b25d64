"""PTX: its text as a tree, and back.

Here: tokens (lexer.py), the tree (tree.py), the grammar (parse.py), the text again (render.py).
Elsewhere: what is measured on it (../metrics.py).
"""
