"""The program on each host: runs restic by the hub's orders, keeps every result until the hub has it.

``run.run_agent`` is the entry, ``agent.Agent`` the root that ties spool, link, timetable, runner and surveyor
together. Needs the base install only, and goes on with its last orders while the hub is away.
"""
