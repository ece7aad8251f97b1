"""`python -m bark_client`."""

from bark_client.cli import app

app(prog_name="bark")
