"""From values per image to means with confidence intervals, tests of differences, and classification scores."""
