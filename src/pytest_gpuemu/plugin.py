"""The pytest plugin: hooks only, each a few lines that hand over to pytest_items."""
