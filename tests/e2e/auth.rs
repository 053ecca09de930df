//! Authentication: registration, login, logout, refresh, roles, mails.

mod login;
mod logout;
mod mails;
mod refresh;
mod register;
mod roles;
