//! Authentication: registration, login, logout, refresh, roles, mails.

mod audit;
mod breaches;
mod fresh_proof;
mod hidden_accounts;
mod login;
mod logout;
mod mails;
mod oauth;
mod refresh;
mod register;
mod roles;
mod second_factor;
