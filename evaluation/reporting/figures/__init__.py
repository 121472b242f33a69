"""The figures of the reports: each function takes a frame and returns a matplotlib figure."""
