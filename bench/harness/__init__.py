"""The parts of the benchmark driver."""
