//! Connections over a real port, to a gateway in front of a fake todos service.

mod fixture;
mod limits;
mod rooms;
mod sign_in;
mod topics;
