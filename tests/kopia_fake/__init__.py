"""A fake ``kopia`` command, 0.10.7 to 0.23.1: its readers' exact output, wrong on request, and the truth beside it.

For tests: ``from tests.kopia_fake.fake import FakeKopia``. Standard library only; it shares no code with what it
tests, so that one cannot hide the other's mistake. Nothing is imported here: the command starts anew for every call.
"""
