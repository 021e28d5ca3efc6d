//! SQL text to the physical graph of Watershed.
