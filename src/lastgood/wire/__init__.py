"""What hub and agent say to each other: frames on the wire, and their translation into facts."""
