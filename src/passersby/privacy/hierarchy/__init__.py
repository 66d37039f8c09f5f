"""TopDown-H3: public tree, plan, noisy measurement from the top, least squares and views."""
