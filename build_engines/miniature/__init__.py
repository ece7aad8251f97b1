"""A miniature Bark that really speaks English: trained from scratch, small enough to ship with the code.

`make.make_miniature` runs the steps in order; each leaves its result in a work folder and is skipped when that is
there, so the same command goes on where it was stopped:

sentences → recordings (a teacher speaks them) → units (what was said, 50 a second) → codec → codes (how it sounded)
→ hubert, semantic, coarse, fine → bundle.
"""
