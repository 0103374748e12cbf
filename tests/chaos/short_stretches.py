"""The deliver room, with stretches so short that a dozen people are several: else only 20,000 of a partition are."""

from agents.__main__ import main
from pipeline.deliver import fanout

if __name__ == "__main__":
    fanout.STRETCH, fanout.SETTLED_EVERY = 3, 1
    main()
