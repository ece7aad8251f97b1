"""From a request to audio: the request is checked, its text split, each sentence taken through the stages."""
