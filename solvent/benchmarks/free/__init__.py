"""Free answers in detail: how numbers are written and stated, and when two words are one."""
