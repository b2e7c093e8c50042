"""One module per vendor SDK: recorded response in, SDK object out, then the neutral record of `record.py`."""
