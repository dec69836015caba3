"""What deserves a person's attention: rules, and the life of an alert."""
