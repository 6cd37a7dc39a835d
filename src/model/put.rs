//! What making something equal to a description comes to.

/// `Made` if nothing had the key before; else `Is`, changed or as it was.
#[derive(Debug)]
pub enum Put<Is, Made = Is> {
    Made(Made),
    Is(Is),
}
