"""Campaigns and cases as pytest items, the fuzz_case fixture, and what the terminal shows of them."""
