"""Collectors: they ask backup servers on a timetable, and never on the way of a scrape."""
