"""What goes wrong outside of the program: kills, full disks, files that vanish or change, and files of any content."""
