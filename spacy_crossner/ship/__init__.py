"""What comes in and leaves the house: encoder, trimming, packaging."""
