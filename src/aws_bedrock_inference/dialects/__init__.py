"""Read and write the bodies of each model family, without I/O. A *dialect* is the format of the requests and answers
of a model family.
"""
