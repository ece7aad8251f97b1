"""The limits of clips and voices, each with its unit."""

from __future__ import annotations

# A clip of speech that a voice is made from. MAX_CLIP_S is also the longest input of the codec and of HuBERT.
MIN_CLIP_S, MAX_CLIP_S = 1.0, 30.0
MIN_CLIP_RATE_HZ, MAX_CLIP_RATE_HZ = 8_000, 192_000
MAX_CLIP_CHANNELS = 8
MAX_CLIP_AMPLITUDE = 8.0  #: linear; samples above it are integers that were not scaled to -1..1

# A voice.
MAX_VOICE_S = 1_800  #: longer than the speech of the longest text that a request may hold
