"""Calls a node by the client that openapi-python-client has made of its document, and prints what it got."""

import json
import sys

from coffer_client import Client
from coffer_client.api.default import get_balance, open_account, transfer
from coffer_client.models import (
    AccountAnswer,
    OpenAccountRequest,
    BalanceAnswer,
    Transfer422Problem,
    Transfer422ProblemCode,
    TransferAnswer,
    TransferRequest,
)

client = Client(base_url=sys.argv[1])


def move(amount):
    body = TransferRequest(from_account="alice", to_account="bob", amount=amount)
    return transfer.sync(client=client, body=body)


opened = open_account.sync(client=client, body=OpenAccountRequest(account_id="alice", initial_balance=100))
assert isinstance(opened, AccountAnswer), opened
moved = move(20)
assert isinstance(moved, TransferAnswer), moved
balance = get_balance.sync("alice", client=client)
assert isinstance(balance, BalanceAnswer), balance
problem = move("1000")
assert isinstance(problem, Transfer422Problem), problem
assert problem.code is Transfer422ProblemCode.INSUFFICIENT_FUNDS, problem
print(json.dumps({"left": moved.from_balance, "balance": balance.balance, "refused": problem.code.value}))
