"""The processes of one run: who does what, who lives, how much memory there is."""
