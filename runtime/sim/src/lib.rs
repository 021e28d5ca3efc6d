//! A seeded world that runs whole Watershed jobs in one thread under crashes, delays and lying storage.
