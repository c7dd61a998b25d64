"""The detection benchmark: kernels in their tiled form, correct and with known bugs, and what finds them."""
