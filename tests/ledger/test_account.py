"""An account holds money and refuses what it must not do."""

from actors import Reply
from actors.testing import given
from gateway.examples.ledger.account import (
    AccountClosed,
    AccountOpened,
    Close,
    Credit,
    Credited,
    Debit,
    Debited,
    Deposit,
    Deposited,
    Open,
    Refund,
    Refunded,
    Withdraw,
    Withdrawn,
    account,
)


def test_an_account_is_opened_with_money_and_a_limit():
    given(account).when(Open(50, limit=100)).then(AccountOpened(100), Deposited(50), Reply({"balance": 50}))


def test_an_account_is_opened_once():
    given(account, AccountOpened()).when(Open()).refused("already-open")
    given(account, AccountOpened(), AccountClosed()).when(Open()).refused("already-open")


def test_an_account_that_nobody_opened_takes_and_gives_nothing():
    for message in (Deposit(1), Withdraw(1), Debit("transfer/1", 1), Credit("transfer/1", 1), Close()):
        given(account).when(message).refused("not-open")


def test_money_comes_and_goes():
    given(account, AccountOpened(), Deposited(50)).when(Deposit(5)).then(Deposited(5), Reply({"balance": 55})).when(
        Withdraw(55)
    ).then(Withdrawn(55), Reply({"balance": 0}))


def test_nobody_gives_more_than_there_is():
    rich = given(account, AccountOpened(), Deposited(10))
    rich.when(Withdraw(11)).refused("overdraft").when(Debit("transfer/1", 11)).refused("overdraft")
    rich.when(Debit("transfer/1", 10)).then(Debited("transfer/1", 10)).when(Debit("transfer/2", 1)).refused("overdraft")


def test_nobody_takes_more_than_the_limit():
    full = given(account, AccountOpened(100), Deposited(90))
    full.when(Deposit(11)).refused("over-limit").when(Credit("transfer/1", 11)).refused("over-limit")
    full.when(Credit("transfer/1", 10)).then(Credited("transfer/1", 10))


def test_a_closed_account_refuses_credits_but_takes_back_its_own():
    closed = given(account, AccountOpened(10), Deposited(10), Debited("transfer/1", 10), AccountClosed())
    closed.when(Credit("transfer/2", 1)).refused("not-open")
    closed.when(Refund("transfer/1", 10)).then(Refunded("transfer/1", 10))
    assert closed.state.balance == 10
