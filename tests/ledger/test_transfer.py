"""A transfer debits one account, then credits the other, or gives the money back."""

from actors import Ask, Replied, Reply, TellRefused
from actors.testing import given
from gateway.examples.ledger.account import Credit, Debit, Refund
from gateway.examples.ledger.transfer import (
    CreditRefused,
    SourceDebited,
    Transfer,
    TransferCompleted,
    TransferRefunded,
    TransferRefused,
    TransferStarted,
    transfer,
)

ASKED = Transfer("account/a", "account/b", 5)
STARTED = TransferStarted("account/a", "account/b", 5)
ID = "transfer/test"


def refused(ref: str, by: str) -> TellRefused:
    return TellRefused(by, "0", "Any", "some-code", "some reason", ref)


def test_a_transfer_debits_the_source_first():
    given(transfer).when(ASKED).then(STARTED, Ask("account/a", Debit(ID, 5), ref="debit"), Reply({"status": "started"}))


def test_then_it_credits_the_target():
    debited = given(transfer, STARTED).when(Replied("debit", "account/a"))
    debited.then(SourceDebited(), Ask("account/b", Credit(ID, 5), ref="credit"))
    debited.when(Replied("credit", "account/b")).then(TransferCompleted())
    assert debited.state.status == "completed"


def test_a_refused_debit_ends_it():
    ended = (
        given(transfer, STARTED).when(refused("debit", "account/a")).then(TransferRefused("some-code", "some reason"))
    )
    assert ended.state.status == "refused"


def test_a_refused_credit_goes_back_to_the_source():
    back = given(transfer, STARTED, SourceDebited()).when(refused("credit", "account/b"))
    back.then(CreditRefused("some-code", "some reason"), Ask("account/a", Refund(ID, 5), ref="refund"))
    back.when(Replied("refund", "account/a")).then(TransferRefunded())
    assert back.state.status == "refunded"


def test_asked_again_it_tells_how_it_stands_and_moves_nothing():
    given(transfer, STARTED, SourceDebited(), TransferCompleted()).when(ASKED).then(Reply({"status": "completed"}))
    given(transfer, STARTED, TransferRefused("overdraft", "too much")).when(ASKED).then(
        Reply({"status": "refused", "reason": "too much"})
    )


def test_asked_again_with_other_terms_it_refuses():
    given(transfer, STARTED).when(Transfer("account/a", "account/b", 6)).refused("other-terms")


def test_nobody_pays_himself():
    given(transfer).when(Transfer("account/a", "account/a", 5)).refused("same-account")
