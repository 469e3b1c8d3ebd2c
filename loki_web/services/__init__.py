"""The rules: what the files mean. No Flask, no file is opened here."""
