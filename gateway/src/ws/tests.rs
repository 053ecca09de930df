//! Connections over a real port, to a gateway before a todos service that says what it is told.

mod fixture;
mod limits;
mod rooms;
mod sign_in;
mod topics;
