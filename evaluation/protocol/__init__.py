"""What a study registers before outcomes are seen."""
