"""What the tests compute with: estimates, distances, information, kernels."""
