"""interpfer: where does a facial-expression classifier look, and is it where an expert would?"""

__version__ = "0.1.0"
