"""What every test runs under: property tests without deadlines, failures that can be replayed."""

from hypothesis import settings

# No timed tests: the machine may be busy. The blob in a failure's output replays it.
settings.register_profile("house", deadline=None, print_blob=True)
settings.load_profile("house")
