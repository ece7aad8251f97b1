"""`python -m bark_gateway`."""

from bark_gateway.entry import main

main()
