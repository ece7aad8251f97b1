"""A miniature Bark that really speaks English: trained from scratch, small enough to ship with the code.

`make.make_miniature` runs the steps in order. Each step writes its result into a work folder, and is skipped if the
result is there. So the same command continues where it was stopped:

sentences → recordings (a teacher speaks them, and tells when each phone sounds: the semantic tokens) → times (the same
of more sentences, without audio) → hubert and semantic → codec → codes (how it sounded) → coarse and fine → expected
(the codes that fine expects on average) → fine again, on these → bundle.
"""
