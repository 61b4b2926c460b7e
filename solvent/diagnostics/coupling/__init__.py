"""How much image and text states share, beyond runs in which the text could not see the image."""
