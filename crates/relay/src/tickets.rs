//! Requests about the tickets of invites.

use crate::os;
use crate::refusal;
use crate::state::State;
use crate::store::{Noted, Ticket};
use wire::{RefusalKind, Reply};

/// Notes a ticket.
pub(crate) async fn create(state: &State, request: wire::CreateTicket) -> Reply {
    match state
        .store
        .create_ticket(request.ticket_hash, request.expires, os::now())
        .await
    {
        Ok(Noted::Done) => Reply::Done,
        Ok(Noted::Full) => refusal::quota("no more tickets"),
        Ok(Noted::Conflict) => refusal::of(
            RefusalKind::Conflict,
            "the ticket is known with another time",
        ),
        Err(_) => refusal::storage(),
    }
}

/// Uses a ticket.
pub(crate) async fn redeem(state: &State, request: wire::RedeemTicket) -> Reply {
    match state.store.redeem_ticket(request, os::now()).await {
        Ok(Ticket::Counts) => Reply::Done,
        Ok(Ticket::Used) => refusal::of(RefusalKind::Used, "the invite was used"),
        Ok(Ticket::Expired) => refusal::of(RefusalKind::Expired, "the invite has expired"),
        Ok(Ticket::Unknown) => refusal::of(RefusalKind::NotFound, "no such invite"),
        Err(_) => refusal::storage(),
    }
}
