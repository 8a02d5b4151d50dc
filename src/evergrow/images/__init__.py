"""Image files to pictures: reading, DICOM, what belongs to whom, the audit before training."""
