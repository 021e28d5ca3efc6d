//! The engine of Watershed: dataflow, exchange, time, state and every protocol as a pure step function.
