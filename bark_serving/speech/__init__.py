"""From a request to audio: the request is checked, its text split, each piece taken through the stages."""
