//! The carriers' gateways as a service provider meets them, over real sockets.
mod client;
mod cmpp;
mod deliveries;
mod faults;
mod peers;
mod sgip;
mod smgp;
