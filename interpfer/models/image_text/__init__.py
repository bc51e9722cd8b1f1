"""Image-text models (CLIP, SigLIP) as classifiers: the classes, and action units, are texts."""
