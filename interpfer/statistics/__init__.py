"""From numbers per image to statements: means with intervals, tests of differences, classification."""
