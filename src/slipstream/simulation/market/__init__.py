"""The reactive market: its terms, its calibration from recordings, its statistics beside the recording's."""
