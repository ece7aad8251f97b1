"""`bark-batch`: speak a table of texts into Parquet files, on Ray Data.

>>> bark-batch texts.parquet -o corpus

A *row* is one text with its voice and seed. A *shard* is a run of rows that becomes one Parquet file. A shard is
written whole or not at all, so an interrupted job goes on at the first shard that is missing. This package knows
servers through `bark_client` only.
"""

from bark_client import __version__

__all__ = ["__version__"]
