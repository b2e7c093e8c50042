//! Laws of the dialects over recorded traffic, and what translations look like.

mod fixtures;
mod openai_chat;
mod ugly_requests;
mod vendors_view;
