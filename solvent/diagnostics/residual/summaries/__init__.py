"""What is said of a cell beside its tables: points of a curve, and why numbers are not there."""
