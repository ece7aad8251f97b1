"""From a request to audio: its checks, its sentences, their stages."""
