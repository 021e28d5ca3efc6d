//! Sources, sinks and formats of Watershed.
