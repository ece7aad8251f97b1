"""`python -m bark_batch`."""

from bark_batch.entry import main

main()
