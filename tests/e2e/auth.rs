//! Registering, signing in and out, and what a session is worth.

mod login;
mod logout;
mod mails;
mod refresh;
mod register;
mod roles;
