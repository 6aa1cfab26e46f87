"""What the records say: throughput, learning curves, statistics and the verdict. Reads records only."""
