"""`python -m bark_client`."""

from bark_client.cli.main import app

app(prog_name="bark")
