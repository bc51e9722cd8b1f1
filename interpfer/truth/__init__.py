"""What a map is compared with."""
