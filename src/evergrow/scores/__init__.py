"""What is measured of a release, beside training: any day, for any release of the past."""
