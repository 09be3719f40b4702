//! The mock server over real sockets.
mod admin;
mod bank;
mod determinism;
mod documentation;
mod faults;
mod help;
mod lifecycle;
mod matching;
mod partners;
mod peers;
mod pushes;
mod sealed;
mod soap;
mod state;
mod tcp;
mod tls;
mod vocabulary;
