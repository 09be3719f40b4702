//! stub
pub mod strict;
