//! Integration tests of the `qiao` library.
mod gateway;
